//! What networks, machines and processes do to nodes, one story a file.

mod all_pairs;
mod big_messages;
mod breaks;
mod breaks_tcp;
mod descriptors;
mod half_open;
mod kills;
mod restarts;
mod stopped;
