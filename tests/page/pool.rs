//! The runs as the page has them: of each step what it changes of the step before, and equal steps once.

use super::experiment::{Runs, Step};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What stays as it was in the step before, if the step has it not. The rest is empty there.
const KEPT: [&str; 3] = ["live", "sockets", "netstat"];

#[derive(Serialize, Default)]
#[serde(transparent)]
pub struct Pool {
    steps: Vec<Value>,
}

impl Pool {
    /// Adds the runs: by the old server's option, the numbers of their steps.
    pub fn add(&mut self, runs: &[Runs]) -> Value {
        let of = |runs: &Runs| {
            let before = self.list(None, &runs.before);
            let after = runs.after.each_ref().map(|steps| self.list(runs.before.last(), steps));
            json!({ "before": before, "after": after })
        };
        runs.iter().map(of).collect()
    }

    fn list<'a>(&mut self, mut last: Option<&'a Step>, steps: &'a [Step]) -> Vec<usize> {
        let mut numbers = Vec::new();
        for step in steps {
            let step_of = |step: &Step| serde_json::to_value(step).expect("it is data");
            let before = step_of(last.unwrap_or(&Step::default()));
            let mut changes = Map::new();
            for (name, value) in step_of(step).as_object().expect("it is a struct") {
                let is_kept = KEPT.contains(&name.as_str());
                let is_said = if is_kept { *value != before[name] } else { !is_empty(value) };
                if is_said {
                    changes.insert(name.clone(), value.clone());
                }
            }
            let changes = Value::Object(changes);
            numbers.push(self.steps.iter().position(|it| *it == changes).unwrap_or_else(|| {
                self.steps.push(changes);
                self.steps.len() - 1
            }));
            last = Some(step);
        }
        numbers
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(is_empty),
        Value::Null => true,
        _ => false,
    }
}
