#pragma once

#include <string_view>

// GET /, as it is sent. Lines that begin with a $ can be pasted into a shell.
inline constexpr std::string_view kPage =
    R"(pipeline: an offer put together in time, or as much of it as there is

GET /offers/:item asks four backends at once: price, stock, reviews, delivery.
Each is a pool of replicas, actors in this very program. A replica answers
after 10 ms, and five times in a hundred after 400 ms.

  $ curl localhost:8080/offers/tea

The answer says of each part what it is, how long it took, and which replica
was first. It never takes longer than the deadline: 200 ms, unless you say
?deadline=50. A replica that takes longer than 30 ms (?hedge=30) is given a
rival: the same question goes to another replica, the first answer counts, and
the loser is cancelled, so it is free at once. That is why slow answers are
hardly ever seen. Turn it off, and one offer in five takes 200 ms:

  $ for i in $(seq 40); do curl -s 'localhost:8080/offers/tea?hedge=5000' | grep -o '"took_ms":[0-9]*,"parts'; done
  $ for i in $(seq 40); do curl -s 'localhost:8080/offers/tea' | grep -o '"took_ms":[0-9]*,"parts'; done

What is not there by the deadline is left out, named under "missing" with the
reason, and the answer says "degraded":true. For one request:

  $ curl 'localhost:8080/offers/tea?slow=reviews'
  $ curl 'localhost:8080/offers/tea?fail=stock'
  $ curl 'localhost:8080/offers/tea?slow=reviews&fail=stock&deadline=100'

For all that follow, until you say otherwise:

  $ curl -X POST 'localhost:8080/backends/reviews?slow_in_a_hundred=100'
  $ curl -X POST 'localhost:8080/backends/stock?failing_in_a_hundred=50'
  $ curl localhost:8080/offers/tea
  $ curl -X POST 'localhost:8080/backends/reviews'          (as at first)

A replica that crashes is started again by its pool after 200 ms; meanwhile
the others are asked. When both of a pool are away, their part is missing.

  $ curl -X POST localhost:8080/backends/price/crash
  $ curl localhost:8080/ready
  $ curl localhost:8080/backends

The pools grow when questions wait for a replica longer than 20 ms, and shrink
when they do not. Ask much, and look at the sizes:

  $ for i in $(seq 50); do (for j in $(seq 100); do curl -s localhost:8080/offers/tea >/dev/null; done) & done; sleep 4; curl localhost:8080/backends; wait

  GET  /offers/:item?deadline=&hedge=&slow=&fail=   an offer; 503 when nothing came
  GET  /backends                                    pools: size, health, waits, restarts
  POST /backends/:name?usual=&slow=&slow_in_a_hundred=&failing_in_a_hundred=
  POST /backends/:name/crash                        one of its replicas fails
  GET  /ready                                       503 while a backend has too few replicas
  GET  /tally                                       how offers have gone
)";
