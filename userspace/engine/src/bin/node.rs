// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A node of a small Ballista cluster, for tests: `scheduler` prints where it listens, `executor
//! SCHEDULER CORES` prints the plan of every stage it ran with what it counted. Nothing of ours is in
//! either: what runs on them runs on any.

use std::env;
use std::io::Write;

use ballista_core::serde::BallistaCodec;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;

/// Prints what executors say about their stages.
struct Stages;

/// Whose words those are.
const TARGET: &str = "ballista_executor::metrics";

impl log::Log for Stages {
    fn enabled(&self, about: &log::Metadata<'_>) -> bool {
        about.target().starts_with(TARGET)
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            // Whoever listened has gone.
            let _ = writeln!(std::io::stdout().lock(), "{}", record.args());
        }
    }

    fn flush(&self) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    log::set_logger(&Stages)?;
    log::set_max_level(log::LevelFilter::Debug);
    let words: Vec<String> = env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(8 << 20)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["scheduler"] => {
                let address = ballista_scheduler::standalone::new_standalone_scheduler().await?;
                println!("{address}");
            }
            ["executor", scheduler, cores] => {
                let scheduler = SchedulerGrpcClient::connect(format!("http://{scheduler}")).await?;
                let codec = BallistaCodec::default();
                ballista_executor::new_standalone_executor(scheduler, cores.parse()?, codec)
                    .await?;
                println!("ready");
            }
            _ => return Err("scheduler, or executor SCHEDULER CORES".into()),
        }
        std::future::pending().await
    })
}
