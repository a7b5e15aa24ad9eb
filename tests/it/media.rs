//! Media, from the output of a provider to the file that a client downloads.

mod audio;
mod deletion;
mod derivatives;
mod download;
mod fetching;
mod files;
mod find;
mod formats;
mod hostile_outputs;
mod links;
mod memory;
mod mutated;
mod orphans;
mod provenance;
mod sharing;
mod soak;
mod storage;
mod storage_check;
mod storage_outage;
mod stored_objects;
mod upload_urls;
mod uploads;
mod video;
mod voice;
mod whole_path;
mod whole_path_s3;
