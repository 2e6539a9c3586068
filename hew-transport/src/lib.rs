//! Ordered byte streams between nodes: the Transport trait with TCP, Unix and in-memory implementations.
