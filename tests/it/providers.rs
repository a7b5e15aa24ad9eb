//! Services behind the provider trait, each tried against what stands in for it.

mod aimock;
mod away;
mod clients;
mod cog;
mod comfyui;
mod exchange;
mod openai;
mod sdapi;
mod starter;
mod task;
mod voice;
mod webhook;
