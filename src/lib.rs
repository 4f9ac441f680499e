//! What is a container? This library answers by building one, a stage at a time.
//!
//! Reading order: [`step`] (one kernel call as data), [`stage`] and [`stages`] (lesson-sized parts and
//! their ordered table), [`plan`] (all stages for one container, pure data), [`engine`] (the walking of a
//! plan), [`refusal`] (what is looked at when the kernel refuses), [`view`] and [`probes`] (what the kernel says),
//! [`diff`], [`trace`] (what is recorded).
//!
//! ```text
//! cli -> spec -> plan -> engine::session --step--> child -> kernel
//!                            | <--reply--
//!                            +-> probes -> KernelView -> Diff -> Event -> { terminal, trace file, page }
//! ```

pub mod app;
pub mod cli;
pub mod decode;
pub mod diff;
pub mod doctor;
pub mod engine;
pub mod host;
pub mod image;
pub mod kernel;
pub mod net;
pub mod plan;
pub mod prepare;
pub mod probes;
pub mod refusal;
pub mod spec;
pub mod stage;
pub mod stages;
pub mod step;
pub mod terminal;
pub mod trace;
pub mod view;
pub mod web;
