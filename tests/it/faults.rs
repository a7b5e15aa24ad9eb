//! What may befall servers and their database while many ask for something: each gets it once, and is told of it without a gap.

mod connections;
mod locks;
mod outages;
mod servers;
mod steps;
mod traffic;
