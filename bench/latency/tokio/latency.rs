// Tail latency of tokio tasks and channels: latency [SECONDS]. See ../README.md.
// An actor is a task that owns a bounded channel of 1000, its mailbox.
use std::time::{Duration, Instant};
use tokio::spawn;
use tokio::sync::mpsc::channel;

const ACTORS: usize = 1000;
const BATCH: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

fn show(name: &str, mut all: Vec<Duration>) -> String {
    all.sort();
    let at = |share: f64| all[(share * (all.len() - 1) as f64) as usize].as_nanos() as f64 / 1000.0;
    format!(
        "\"{}\":{{\"count\":{},\"p50\":{:.1},\"p99\":{:.1},\"p999\":{:.1},\"max\":{:.1}}}",
        name,
        all.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    )
}

async fn messages(seconds: usize) -> Vec<Duration> {
    let mut mailboxes = Vec::new();
    let mut actors = Vec::new();
    for _ in 0..ACTORS {
        let (mailbox, mut inbox) = channel::<Instant>(1000);
        mailboxes.push(mailbox);
        actors.push(spawn(async move {
            let mut latencies = Vec::with_capacity(seconds * 1000 * BATCH / ACTORS + 1);
            while let Some(sent) = inbox.recv().await {
                latencies.push(sent.elapsed());
            }
            latencies
        }));
    }
    let sender = spawn(async move {
        let mut next = 0;
        let mut due = Instant::now();
        for _ in 0..seconds * 1000 {
            tokio::time::sleep_until(due.into()).await;
            for _ in 0..BATCH {
                mailboxes[next].send(Instant::now()).await.unwrap();
                next = (next + 7) % ACTORS;
            }
            due += Duration::from_millis(1);
        }
    });
    sender.await.unwrap();
    let mut all = Vec::new();
    for actor in actors {
        all.extend(actor.await.unwrap());
    }
    all
}

async fn timers(seconds: usize) -> Vec<Duration> {
    let mut sleepers = Vec::new();
    for _ in 0..ACTORS {
        sleepers.push(spawn(async move {
            let mut lateness = Vec::with_capacity(seconds * 100);
            for _ in 0..seconds * 100 {
                let due = Instant::now() + PAUSE;
                tokio::time::sleep(PAUSE).await;
                lateness.push(due.elapsed());
            }
            lateness
        }));
    }
    let mut all = Vec::new();
    for sleeper in sleepers {
        all.extend(sleeper.await.unwrap());
    }
    all
}

fn main() {
    let seconds = std::env::args().nth(1).map_or(5, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sent = show("messages", runtime.block_on(messages(seconds)));
    let slept = show("timers", runtime.block_on(timers(seconds)));
    println!("{{\"peer\":\"tokio\",{},{}}}", sent, slept);
}
