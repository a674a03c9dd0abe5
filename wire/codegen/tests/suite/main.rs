//! The parser of schemas and the layouts that it makes, on the project's schema and on other people's.

mod foreign_messages;
mod own_messages;
mod schemas;
