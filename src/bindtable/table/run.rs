//! The whole run: every cell once, on several threads.

use super::attempt::{Outcome, measure, check_possible};
use super::cell::{Cell, State};
use super::world::{Capabilities, World};
use crate::{say, words};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What was found of each cell, or why it was not tried.
pub type Results = BTreeMap<Cell, Result<Outcome, String>>;

/// Tries each of the `cells`, on `jobs` threads. It fails if a thread has no network to try them in.
pub fn run(
    mut cells: Vec<Cell>,
    capabilities: &Capabilities,
    jobs: usize,
) -> Result<Results, String> {
    let has_failed = words!("a thread has failed", "有一个线程失败了");
    cells.sort();
    cells.dedup();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Results::new());
    // Of each state that has been waited for, why it does not come here, if it has never come: it is
    // waited for once. One that has come may be late where the machine is busy.
    let waited: Mutex<BTreeMap<State, Option<String>>> = Mutex::new(BTreeMap::new());
    let work = || -> Result<(), String> {
        let mut world = World::new(capabilities)?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(cell) = cells.get(at) else { return Ok(()) };
            show_progress(at, cells.len());
            let known = waited.lock().map_err(|_| has_failed)?.get(&cell.state).cloned().flatten();
            let result = match check_possible(cell, capabilities).err().or(known) {
                Some(obstacle) => Err(obstacle),
                None => {
                    let measured = measure(&mut world, cell);
                    let late = measured.as_ref().err().filter(|trouble| trouble.is_late);
                    if measured.is_ok() || late.is_some() {
                        let late = late.map(|trouble| trouble.text.clone());
                        waited.lock().map_err(|_| has_failed)?.entry(cell.state).or_insert(late);
                    }
                    measured.map_err(|trouble| trouble.text)
                }
            };
            results.lock().map_err(|_| has_failed)?.insert(cell.clone(), result);
        }
    };
    // On the machine's own loopback two threads could take one port.
    let threads =
        if capabilities.namespaces.is_ok() { jobs.clamp(1, cells.len().max(1)) } else { 1 };
    let finished: Result<(), String> = thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, work);
        // As many as there may be (RLIMIT_NPROC); without any, this one does it.
        let workers: Vec<_> = (0..threads).map(spawn).map_while(Result::ok).collect();
        if workers.is_empty() {
            return work();
        }
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| has_failed)?)
    });
    clear_progress();
    finished?;
    results.into_inner().map_err(|_| has_failed.to_owned())
}

fn show_progress(done: usize, all: usize) {
    let mut stderr = std::io::stderr();
    if done.is_multiple_of(16) && stderr.is_terminal() {
        let _ =
            write!(stderr, "\r{}", say!("{done} of {all} cells", "已试 {done} 格，共 {all} 格"));
    }
}

fn clear_progress() {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K");
    }
}
