//! A node: links to other nodes, routing, and the composition of every layer.
