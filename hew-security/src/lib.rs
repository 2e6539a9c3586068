//! Authentication and encryption of links: Noise XX, keys, allowlists and records.
