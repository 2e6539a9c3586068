//! Messages of the membership protocol (SWIM), carried on the control lane.
