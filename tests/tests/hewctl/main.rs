//! The command line, as its users meet it: the real program, in processes of its own.

mod cluster;
mod demo;
mod files;
mod process;
mod refusals;
mod scene;
