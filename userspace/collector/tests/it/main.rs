// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The real collector on loopback. Every test listens on a loopback address of its own, so that all
//! of them can run at once on the usual ports.

mod bmp;
mod bpf;
mod collector;
mod decode;
mod disk;
mod flow;
mod messages;
mod settings;
mod takeover;
