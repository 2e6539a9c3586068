//! Messages of the name registry, carried on the control lane.
