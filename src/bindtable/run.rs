//! The whole run: every cell once, on as many threads as there are processors.

use crate::cell::Cell;
use crate::engine::{Outcome, measure, obstacle};
use crate::world::{Powers, World};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What was found of each cell, or why it was not tried.
pub type Results = BTreeMap<Cell, Result<Outcome, &'static str>>;

pub fn run(mut cells: Vec<Cell>, powers: Powers) -> Result<Results, String> {
    cells.sort();
    cells.dedup();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Results::new());
    let work = || -> Result<(), String> {
        let mut world = World::new(powers)?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(cell) = cells.get(at) else { return Ok(()) };
            show_progress(at, cells.len());
            let result = match obstacle(cell, powers) {
                Some(obstacle) => Err(obstacle),
                None => Ok(measure(&mut world, cell).inspect_err(|_| {
                    next.store(cells.len(), Ordering::Relaxed); // nobody need go on
                })?),
            };
            results.lock().map_err(|_| "a thread has failed")?.insert(cell.clone(), result);
        }
    };
    // On the real loopback two threads could take one port.
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = if powers.namespaces { processors } else { 1 };
    let finished: Result<(), String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a thread has failed")?)
    });
    clear_progress();
    finished?;
    results.into_inner().map_err(|_| "a thread has failed".to_owned())
}

fn show_progress(done: usize, all: usize) {
    let mut stderr = std::io::stderr();
    if done.is_multiple_of(16) && stderr.is_terminal() {
        let _ = write!(stderr, "\r{done} of {all} cells");
    }
}

fn clear_progress() {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K");
    }
}
