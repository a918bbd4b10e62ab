// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A node of a small Ballista cluster on this machine, for tests and benches: `scheduler` prints where
//! it listens, `executor SCHEDULER CORES FOLDER` prints `ready` when it has been heard of, then the plan
//! of every task it ran with what it counted. Nothing of ours is in either: what runs on them runs on
//! any.

use std::env;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_executor::health::ExecutorHealth;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};

type Done = Result<(), Box<dyn std::error::Error>>;

/// Any free port of this machine alone.
const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
/// Between two looks whether an executor has been heard of.
const LOOK: Duration = Duration::from_millis(20);
/// Who begins tasks: whoever hands them out, as both of Ballista's programs have it.
const POLICY: TaskSchedulingPolicy = TaskSchedulingPolicy::PushStaged;

/// Prints what executors say about their tasks.
struct Tasks;

/// Whose words those are.
const TARGET: &str = "ballista_executor::execution_engine";

impl log::Log for Tasks {
    fn enabled(&self, about: &log::Metadata<'_>) -> bool {
        about.level() <= log::Level::Warn || about.target().starts_with(TARGET)
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Whoever listened may have gone.
        if record.target().starts_with(TARGET) {
            let _ = writeln!(std::io::stdout().lock(), "{}", record.args());
        } else {
            let _ = writeln!(std::io::stderr().lock(), "{}: {}", record.target(), record.args());
        }
    }

    fn flush(&self) {}
}

fn main() -> Done {
    log::set_logger(&Tasks).map_err(|error| error.to_string())?;
    log::set_max_level(log::LevelFilter::Debug);
    let words: Vec<String> = env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(8 << 20)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["scheduler"] => scheduler().await,
            ["executor", scheduler, cores, folder] => {
                executor(scheduler.parse()?, cores.parse()?, folder).await
            }
            _ => Err("scheduler, or executor SCHEDULER CORES FOLDER".into()),
        }
    })
}

async fn scheduler() -> Done {
    let listener = tokio::net::TcpListener::bind(ANY).await?;
    let address = listener.local_addr()?;
    let config = SchedulerConfig::default()
        .with_hostname(address.ip().to_string())
        .with_port(address.port())
        .with_scheduler_policy(POLICY)
        .with_task_distribution(TaskDistributionPolicy::RoundRobin);
    let cluster = BallistaCluster::new_from_config(&config).await?;
    let scheduler =
        create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config)).await?;
    println!("{address}");
    Ok(start_grpc_service_with_listener(listener, scheduler).await?)
}

async fn executor(scheduler: SocketAddr, vcores: usize, folder: &str) -> Done {
    // It wants to be told ports, so both are found first, and held until both are.
    let (flight, control) = (std::net::TcpListener::bind(ANY)?, std::net::TcpListener::bind(ANY)?);
    let (port, grpc_port) = (flight.local_addr()?.port(), control.local_addr()?.port());
    drop((flight, control));
    let health = ExecutorHealth::new();
    let config = ExecutorProcessConfig {
        external_host: Some(Ipv4Addr::LOCALHOST.to_string()),
        port,
        grpc_port,
        scheduler_host: scheduler.ip().to_string(),
        scheduler_port: scheduler.port(),
        vcores,
        task_scheduling_policy: POLICY,
        work_dir: Some(folder.to_owned()),
        health: health.clone(),
        ..ExecutorProcessConfig::default()
    };
    tokio::spawn(async move {
        while !health.is_ready() {
            tokio::time::sleep(LOOK).await;
        }
        println!("ready");
    });
    Ok(start_executor_process(Arc::new(config)).await?)
}
