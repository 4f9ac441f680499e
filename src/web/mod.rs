//! What does a person see in a browser? The same trace that the terminal shows, drawn.
//!
//! Reading order: [`run`] (the trace, as far as it is known), [`scene`] (a drawing as data), [`drawings`] (one file a
//! drawing: what of a stage's entry goes into it), [`layout`] (where it is put), [`site`] (every piece of the page
//! by its path).
//!
//! How it is served: [`wire`] (what builder and page say to each other), [`feed`] (the builder's side), [`process`] (the
//! page's, which [`confine`]s itself first), [`gate`] (who comes in), [`routes`], [`stream`].

mod addresses;
pub mod assets;
pub mod board;
pub mod confine;
pub mod drawings;
pub mod export;
pub mod feed;
pub mod gate;
pub mod layout;
pub mod names;
pub mod process;
pub mod routes;
pub mod run;
pub mod scene;
pub mod site;
pub mod stream;
pub mod tail;
pub mod template;
pub mod wire;
