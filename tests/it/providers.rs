//! Services behind the provider trait, each tried against what stands in for it.

mod exchange;
mod openai;
mod task;
