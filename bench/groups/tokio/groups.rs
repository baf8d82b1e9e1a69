// The same as troupe_groups: spawned tasks whose handles are awaited in order.
use std::time::Instant;

async fn child(n: i64) -> i64 {
    n
}

async fn run_groups(rounds: usize, children: usize) -> i64 {
    let mut sum = 0;
    for _ in 0..rounds {
        let mut handles = Vec::with_capacity(children);
        for _ in 0..children {
            handles.push(tokio::spawn(child(1)));
        }
        for handle in handles {
            sum += handle.await.unwrap();
        }
    }
    sum
}

async fn best_of_five(rounds: usize, children: usize) -> f64 {
    let all = rounds * children;
    let mut best = f64::MAX;
    for _ in 0..5 {
        let begin = Instant::now();
        // On a worker, as the others are, and not on the thread that blocks.
        let sum = tokio::spawn(run_groups(rounds, children)).await.unwrap();
        assert_eq!(sum, all as i64);
        best = best.min(begin.elapsed().as_nanos() as f64 / all as f64);
    }
    best
}

#[tokio::main]
async fn main() {
    let one = best_of_five(200_000, 1).await;
    let ten = best_of_five(100_000, 10).await;
    let million = best_of_five(1, 1_000_000).await;
    println!(
        "{{\"peer\":\"tokio\",\"group_of_1\":{one:.1},\"group_of_10\":{ten:.1},\"group_of_1M\":{million:.1}}}"
    );
}
