//! Membership: SWIM with Lifeguard as a pure state machine.
