//! Work on a thread of its own, while this thread tells a listener of it and may stop it.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::Event;
use crate::host::stop::Stop;

/// Time between two events while work goes on, at most.
pub const HEARTBEAT: Duration = Duration::from_millis(50);

/// Hears where a run stands, and says whether it goes on.
pub type Listener<'a> = dyn FnMut(&Event) -> ControlFlow<()> + 'a;

/// Where work says how far it has come, and learns whether to go on.
pub type Report<'a> = dyn FnMut(Event) -> ControlFlow<()> + 'a;

/// Does `work` to its end. It learns the listener's answer to each of its reports; `stop` is
/// requested when the listener wants to stop it between two of them.
///
/// In a thread pool of the caller the work stays on the caller's thread, as it is to use that pool.
/// The listener then hears only of what the work reports.
pub fn attended<T: Send>(stop: &Stop, listener: &mut Listener, work: impl FnOnce(&mut Report) -> T + Send) -> T {
    if in_a_pool() {
        return work(&mut |event| listener(&event));
    }
    let (mut worker_end, mut own_end) = line();
    thread::scope(|scope| {
        let worker = scope.spawn(move || work(&mut |event| worker_end.report(event)));
        while own_end.listen(listener) == Heard::Break {
            stop.request();
        }
        worker.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Does `work`, or leaves it to end by itself as soon as the listener stops it: `None` then.
pub fn detachable<T: Send + 'static>(
    stop: &Stop,
    listener: &mut Listener,
    work: impl FnOnce(&mut Report) -> T + Send + 'static,
) -> Option<T> {
    let mut stopped = false;
    let mut heed = |event: &Event| {
        let answer = listener(event);
        stopped |= answer.is_break();
        answer
    };
    if in_a_pool() {
        let found = work(&mut |event| heed(&event));
        return (!stopped).then_some(found);
    }
    let (mut worker_end, mut own_end) = line();
    let worker = thread::spawn(move || work(&mut |event| worker_end.report(event)));
    let heard = own_end.listen(&mut heed);
    if stopped || heard == Heard::Break {
        stop.request();
        return None;
    }
    Some(worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
}

/// Whether this is a thread of a thread pool.
fn in_a_pool() -> bool {
    rayon::current_thread_index().is_some()
}

/// The two ends of a line between work and its listener.
fn line() -> (WorkerEnd, OwnEnd) {
    let (sender, events) = channel();
    let (answers, receiver) = channel();
    (WorkerEnd { events: sender, answers: receiver }, OwnEnd { events, answers, last: None })
}

struct WorkerEnd {
    events: Sender<Event>,
    answers: Receiver<ControlFlow<()>>,
}

impl WorkerEnd {
    /// Waits for the listener's answer; where nobody listens any more the answer is to stop.
    fn report(&mut self, event: Event) -> ControlFlow<()> {
        let answer = self.events.send(event).ok().and_then(|()| self.answers.recv().ok());
        answer.unwrap_or(ControlFlow::Break(()))
    }
}

struct OwnEnd {
    events: Receiver<Event>,
    answers: Sender<ControlFlow<()>>,
    last: Option<Event>,
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// The work has ended.
    End,
    /// The listener wants to stop the work between two of its reports.
    Break,
}

impl OwnEnd {
    fn listen(&mut self, listener: &mut Listener) -> Heard {
        loop {
            match self.events.recv_timeout(HEARTBEAT) {
                Ok(event) => {
                    let answer = listener(&event);
                    self.last = Some(Event { live: None, ..event });
                    // Work that has ended meanwhile needs no answer.
                    let _ = self.answers.send(answer);
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.last.as_ref().is_some_and(|last| listener(last).is_break()) {
                        return Heard::Break;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Heard::End,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::Phase;
    use super::*;

    fn event(done: usize) -> Event {
        Event { phase: Phase::Theory, done, total: 9, gradients: 0, live: None }
    }

    /// Works in steps of a millisecond until it is stopped, a minute at most.
    fn patient(stop: &Stop) -> usize {
        (0..60_000).take_while(|_| stop.check().is_ok()).inspect(|_| thread::sleep(Duration::from_millis(1))).count()
    }

    #[test]
    fn an_answer_to_a_report_stops_the_work_there() {
        for in_pool in [false, true] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            let reports = || {
                let stop = Stop::default();
                let mut listener = |event: &Event| {
                    if event.done < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                };
                attended(&stop, &mut listener, |report| (1..9).find(|&done| report(event(done)).is_break()))
            };
            assert_eq!(if in_pool { pool.install(reports) } else { reports() }, Some(3));
        }
    }

    #[test]
    fn a_listener_stops_work_that_reports_nothing() {
        let (stop, start) = (Stop::default(), Instant::now());
        let mut listener = |event: &Event| match start.elapsed() {
            waited if waited < Duration::from_millis(120) || event.done == 0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        let steps = attended(&stop, &mut listener, |report| {
            let _ = report(event(1));
            patient(&stop)
        });
        assert!((1..59_000).contains(&steps), "{steps}");
    }

    #[test]
    fn detached_work_is_not_waited_for() {
        let stop = Stop::default();
        let mut listener =
            |event: &Event| if event.done == 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
        let (sender, ended) = channel();
        let deaf = move |report: &mut Report| {
            let _ = report(event(1));
            // It ends only when it is let go.
            let _: Result<(), _> = ended.recv();
        };
        assert_eq!(detachable(&stop, &mut listener, deaf), None);
        assert!(stop.is_requested());
        drop::<Sender<()>>(sender);
        let mut always = |_: &Event| ControlFlow::Continue(());
        assert_eq!(detachable(&Stop::default(), &mut always, |report| report(event(1)).is_continue()), Some(true));
    }
}
