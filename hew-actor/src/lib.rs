//! Actors on one machine: mailboxes, scheduling, lifecycle, ask, monitors, links, timers.
