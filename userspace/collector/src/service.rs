// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The collector from start to planned end.
//!
//! [`run`] opens everything, says that it is ready, and works until `shutdown` completes. Then it
//! drains: the kernel is told to send nothing new here, listeners close, sessions go to siblings,
//! UDP sockets are read empty, and the outputs are written to their end.

use std::{
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use telesteer_sys::{features, ident, process};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

use crate::{
    accept, bmp,
    checkpoint::Store,
    events::Event,
    listeners::{self, Listener, Listeners},
    metrics::{Metrics, render::View, server},
    output::Outputs,
    settings::Settings,
    shared::Shared,
    sink::Sink,
    steer::Plan,
    udp,
};

/// Runs a collector until `shutdown` completes, then drains it.
///
/// # Errors
///
/// If something it needs cannot be had at the start. Later failures are counted, not returned.
pub async fn run(settings: Settings, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    settings.check()?;
    let instance = settings.instance;
    process::ignore_file_size_signal().context("SIGXFSZ")?;
    process::raise_descriptor_limit().context("RLIMIT_NOFILE")?;
    let plan = Arc::new(Plan::make(&settings, features::probe().context("probe the kernel")?)?);
    if let Some(lacks) = &plan.lacks {
        eprintln!("telesteer: {lacks}");
    }
    let metrics = Arc::new(Metrics::default());
    let limits = settings.limits.clone();
    let start_ms =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let store =
        Store::open(settings.state_dir(), &limits, Arc::clone(&metrics)).context("state")?;
    let (outputs, writers) = Outputs::open(
        &settings.out,
        instance,
        start_ms,
        limits.output_queue,
        Duration::from_millis(limits.output_retry),
        Arc::clone(&metrics),
    )
    .context("out")?;
    let (sink, sinking) = match &settings.parquet {
        Some(told) => {
            let counters = Arc::clone(&metrics);
            let (sink, threads) =
                Sink::open(told, instance, start_ms, &limits, counters).context("parquet")?;
            (Some(sink), Some(threads))
        }
        None => (None, None),
    };
    let server = match settings.metrics {
        Some(addr) => Some(
            tokio::net::TcpListener::bind(addr).await.with_context(|| format!("metrics {addr}"))?,
        ),
        None => None,
    };
    // The sockets come last: from here on something may arrive.
    let Listeners { tcp, udp, skipped } = listeners::open(&settings, &plan)?;
    if !skipped.is_empty() {
        eprintln!("telesteer: this host has no address for {}", skipped.join(", "));
    }
    let all: Vec<Listener> = tcp.iter().chain(&udp).cloned().collect();
    let rows: Vec<_> = all.iter().map(|listener| Arc::clone(&listener.row)).collect();
    let mode = plan.describe();
    let shared = Arc::new(Shared {
        instance,
        raw: settings.raw,
        journal: settings.journal,
        takeover: plan.takeover,
        place: place(&all)?,
        limits,
        outputs,
        sink,
        store,
        metrics: Arc::clone(&metrics),
    });
    shared.event(&Event::Start { mode: &mode });
    let server = server.map(|listener| {
        let view =
            View { instance, mode: mode.clone(), metrics: Arc::clone(&metrics), sockets: rows };
        tokio::spawn(server::serve(listener, Arc::new(view)))
    });

    let (drain_accept, accept_drains) = watch::channel(false);
    let (drain_sessions, sessions_drain) = watch::channel(false);
    let (drain_udp, udp_drains) = watch::channel(false);
    let (accepted, mut sessions) = mpsc::unbounded_channel();
    let accepting = accept::spawn(tcp, Arc::clone(&shared), accepted, accept_drains)?;
    let mut readers = JoinSet::new();
    for listener in udp {
        readers.spawn(udp::run(Arc::clone(&shared), listener, udp_drains.clone()));
    }
    let serving = tokio::spawn({
        let shared = Arc::clone(&shared);
        async move {
            let mut running = JoinSet::new();
            while let Some((socket, of)) = sessions.recv().await {
                running.spawn(bmp::run(Arc::clone(&shared), socket, of, sessions_drain.clone()));
                // Ended sessions leave nothing behind.
                while running.try_join_next().is_some() {}
            }
            while running.join_next().await.is_some() {}
        }
    });
    eprintln!("telesteer: ready instance={instance} {mode}");

    shutdown.await;

    shared.event(&Event::DrainStart);
    metrics.draining.set(1);
    let patience = Duration::from_secs(shared.limits.drain);
    let work = async {
        if leave_selection(&plan, all).await {
            shared.event(&Event::DrainLeft);
            tokio::time::sleep(Duration::from_millis(shared.limits.drain_hold)).await;
        }
        // Listeners first: a sibling must be the only one left to inherit the sessions.
        drain_accept.send_replace(true);
        // The thread ends with its listeners; it never blocks for long.
        let _ = tokio::task::spawn_blocking(move || accepting.join()).await;
        drain_sessions.send_replace(true);
        drain_udp.send_replace(true);
        let _ = serving.await;
        while readers.join_next().await.is_some() {}
    };
    let complete = timeout(patience, work).await.is_ok();
    if !complete {
        eprintln!("telesteer: the drain took longer than {} s and was cut off", patience.as_secs());
    }
    shared.event(&Event::DrainEnd { complete });
    shared.event(&Event::Stop);
    if let Some(server) = server {
        server.abort();
    }
    if let Some(sink) = &shared.sink {
        sink.finish();
    }
    if complete {
        // Every task is gone, so this is the last handle and the writers see the end.
        drop(shared);
        let _ = tokio::task::spawn_blocking(move || writers.join()).await;
    } else {
        wait_for_outputs(&shared).await;
    }
    if let Some(threads) = sinking {
        let stored = tokio::task::spawn_blocking(move || threads.join());
        if timeout(patience, stored).await.is_err() {
            let held = metrics.parquet_rows_held.get();
            eprintln!("telesteer: parquet: {held} rows could not be stored in time and are lost");
        }
    }
    Ok(())
}

/// The first two parts of every session's name.
fn place(listeners: &[Listener]) -> anyhow::Result<String> {
    let boot = ident::boot_id().context("boot id")?;
    let namespace = listeners
        .first()
        .and_then(|listener| ident::netns_cookie(&*listener.socket).ok())
        .unwrap_or(0);
    Ok(format!("{boot}-{namespace}"))
}

/// Tells the kernel to choose none of our sockets any more; gives whether it does so. Each call waits
/// for a grace period, so they go in parallel.
async fn leave_selection(plan: &Arc<Plan>, sockets: Vec<Listener>) -> bool {
    let mut left = plan.can_drain();
    let mut calls = JoinSet::new();
    for Listener { socket, row, .. } in sockets {
        let plan = Arc::clone(plan);
        calls.spawn_blocking(move || {
            let done = plan.drain(socket.as_fd());
            if let Err(error) = &done {
                eprintln!("telesteer: {} {}: drain: {error:#}", row.service, row.addr);
            }
            done.is_ok()
        });
    }
    while let Some(done) = calls.join_next().await {
        left &= done.unwrap_or(false);
    }
    left
}

/// After a drain that was cut off: what is queued may still reach the files.
async fn wait_for_outputs(shared: &Shared) {
    let queued = async {
        while shared.metrics.output_queue_bytes.get() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let _ = timeout(Duration::from_secs(2), queued).await;
}
