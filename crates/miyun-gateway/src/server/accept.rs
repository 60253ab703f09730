//! Takes connections and deals them out to the readers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::shard::{Common, Order};

pub(super) async fn accept_all(
    listeners: Vec<(std::net::TcpListener, bool)>,
    common: Arc<Common>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
) {
    let mut tasks = Vec::new();
    for (l, tls) in listeners {
        match TcpListener::from_std(l) {
            Ok(l) => tasks.push(tokio::task::spawn_local(accept(
                l,
                tls,
                Arc::clone(&common),
                orders.clone(),
            ))),
            Err(e) => tracing::error!("{e}"),
        }
    }
    for t in tasks {
        let _ = t.await;
    }
    std::future::pending::<()>().await;
}

async fn accept(
    listener: TcpListener,
    tls: bool,
    common: Arc<Common>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
) {
    let mut next = 0usize;
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(x) => x,
            Err(e) => {
                // Out of descriptors, mostly: what is open goes on, new ones wait.
                tracing::warn!("accept: {e}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let address = peer.ip();
        if !admit(&common, address) {
            common.stats.turned_away.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let instead = common.open.fetch_add(1, Ordering::AcqRel) >= common.limits.connections;
        common.stats.connections.fetch_add(1, Ordering::Relaxed);
        let Ok(stream) = stream.into_std() else {
            continue;
        };
        next = (next + 1) % orders.len().max(1);
        let order = Order::Take {
            stream,
            address,
            tls,
            instead,
        };
        if orders.get(next).is_none_or(|o| o.send(order).is_err()) {
            return;
        }
    }
}

/// Counts a connection of an address; false if it has too many.
fn admit(common: &Common, address: IpAddr) -> bool {
    let mut per: std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> = common
        .per_address
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let n = per.entry(address).or_insert(0);
    if *n >= common.limits.connections_per_address {
        return false;
    }
    *n += 1;
    true
}
