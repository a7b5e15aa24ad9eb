//! The provider that comes with the program: it draws pictures itself, and needs no other service.

pub mod drawing;
