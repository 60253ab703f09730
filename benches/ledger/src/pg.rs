//! What one would use instead: a registry in PostgreSQL with row locks and unique transfer ids.
//!
//! Each transfer is one call of a prepared statement: insert the id (a repetition does nothing),
//! lock both accounts in the order of their ids, check, update. The batched variant gives a
//! thousand transfers to one transaction that locks all its accounts in order first.

use std::time::{Duration, Instant};

use anyhow::Result;
use postgres::{Client, NoTls};

use crate::load::{Mix, Stream};

const SCHEMA: &str = "
drop table if exists transfers; drop table if exists accounts cascade;
create table accounts (
  id bigint primary key, debits bigint not null default 0, credits bigint not null default 0,
  check (debits <= credits)
) with (fillfactor = 50);
create table transfers (
  id uuid primary key, debit bigint not null, credit bigint not null, amount bigint not null check (amount > 0),
  case_id bigint not null, rule_id int not null, at timestamptz not null default now()
);
create or replace function transfer(i uuid, d bigint, c bigint, a bigint) returns int language plpgsql as $$
begin
  insert into transfers (id, debit, credit, amount, case_id, rule_id) values (i, d, c, a, 7, 1) on conflict do nothing;
  if not found then return 1; end if;
  perform 1 from accounts where id in (d, c) order by id for update;
  update accounts set debits = debits + a where id = d and credits - debits >= a;
  if not found then raise exception 'insufficient'; end if;
  update accounts set credits = credits + a where id = c;
  return 0;
end $$;
create or replace function transfer_many(i uuid[], d bigint[], c bigint[], a bigint[]) returns int language plpgsql as $$
declare n int := 0; x record;
begin
  perform 1 from accounts where id = any(d) or id = any(c) order by id for update;
  for x in select * from unnest(i, d, c, a) as t(i, d, c, a) loop
    insert into transfers (id, debit, credit, amount, case_id, rule_id) values (x.i, x.d, x.c, x.a, 7, 1) on conflict do nothing;
    if found then
      update accounts set debits = debits + x.a where id = x.d and credits - debits >= x.a;
      if not found then raise exception 'insufficient'; end if;
      update accounts set credits = credits + x.a where id = x.c;
      n := n + 1;
    end if;
  end loop;
  return n;
end $$;
";

/// What a run gave.
#[derive(Debug, Clone)]
pub struct Run {
    /// Transfers a second.
    pub rate: f64,
    /// Latency of one call, sorted.
    pub latencies: Vec<Duration>,
}

/// Creates tables and accounts.
pub fn set_up(url: &str, accounts: u64) -> Result<String> {
    let mut client = Client::connect(url, NoTls)?;
    client.batch_execute(SCHEMA)?;
    client.execute(
        "insert into accounts (id, credits) select g, 1::bigint << 40 from generate_series(1, $1::bigint) g",
        &[&(accounts as i64)],
    )?;
    client.batch_execute("analyze; checkpoint")?;
    let row = client.query_one(
        "select version(), current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes')",
        &[],
    )?;
    let settings: [String; 4] = [row.get(0), row.get(1), row.get(2), row.get(3)];
    Ok(format!(
        "{}; fsync={} synchronous_commit={} full_page_writes={}",
        settings[0], settings[1], settings[2], settings[3]
    ))
}

/// Runs for a while with so many connections and transfers a transaction.
pub fn run(
    url: &str,
    accounts: u64,
    clients: u64,
    per_call: usize,
    time: Duration,
    seed: u64,
) -> Result<Run> {
    let start = Instant::now();
    let threads: Vec<_> = (0..clients)
        .map(|n| {
            let url = url.to_owned();
            std::thread::spawn(move || client(&url, accounts, per_call, time, seed + n))
        })
        .collect();
    let (mut done, mut latencies) = (0, Vec::new());
    for thread in threads {
        let (n, l) = thread
            .join()
            .map_err(|_| anyhow::anyhow!("a client failed"))??;
        done += n;
        latencies.extend(l);
    }
    latencies.sort_unstable();
    Ok(Run {
        rate: done as f64 / start.elapsed().as_secs_f64(),
        latencies,
    })
}

fn client(
    url: &str,
    accounts: u64,
    per_call: usize,
    time: Duration,
    seed: u64,
) -> Result<(u64, Vec<Duration>)> {
    let mut client = Client::connect(url, NoTls)?;
    let one = client.prepare("select transfer($1::text::uuid, $2, $3, $4)")?;
    let many = client.prepare("select transfer_many($1::text[]::uuid[], $2, $3, $4)")?;
    let mut stream = Stream::new(seed, Mix::Uniform, accounts);
    let (start, mut done, mut latencies) = (Instant::now(), 0, Vec::new());
    while start.elapsed() < time {
        let draws: Vec<_> = (0..per_call).map(|_| stream.draw()).collect();
        let ids: Vec<String> = draws.iter().map(|d| format!("{:032x}", d.0)).collect();
        let column = |f: fn(&(u128, u64, u64, u64)) -> u64| -> Vec<i64> {
            draws.iter().map(|d| f(d) as i64).collect()
        };
        let (d, c, a) = (column(|x| x.1), column(|x| x.2), column(|x| x.3));
        let before = Instant::now();
        if per_call == 1 {
            let refused: i32 = client
                .query_one(&one, &[&ids[0], &d[0], &c[0], &a[0]])?
                .get(0);
            done += u64::from(refused == 0);
        } else {
            let n: i32 = client.query_one(&many, &[&ids, &d, &c, &a])?.get(0);
            done += n as u64;
        }
        latencies.push(before.elapsed());
    }
    Ok((done, latencies))
}
