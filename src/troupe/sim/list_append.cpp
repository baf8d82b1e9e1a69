#include <troupe/base/assert.hpp>
#include <troupe/sim/list_append.hpp>

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

// Nodes of the graph are the transactions that count, and some that stand for "all of these": the
// appends to a key that nobody has read, which come after all that were read, and all that had
// ended at some moment. With them the number of edges grows as the history does, and not with its
// square. Edges that leave such a node cost nothing and pass on what the one before them said.

namespace troupe::sim {

namespace {

using Id = std::uint32_t;
using Value = ListHistory::Value;
using Operation = ListHistory::Operation;
using Outcome = ListHistory::Outcome;

constexpr Id kNone = std::numeric_limits<Id>::max();
// Ids have 32 bits, and an entry makes a handful of nodes and edges, some of them twice.
constexpr std::size_t kEntriesMax = std::size_t{1} << 27;
// What the search for the shortest cycle may look at, over all: about a second.
constexpr std::size_t kVisitsMax = 20'000'000;
constexpr std::size_t kValuesShown = 8;

/// Why one comes before another. Bits, so that a part of the graph is a set of them.
enum Kind : std::uint8_t {
    passed_on = 1,
    appended_before = 2,  // ww
    was_read = 4,         // wr
    was_not_read = 8,     // rw
    had_ended = 16,       // real time
};

struct Edge {
    Id from;
    Id to;
    Kind kind;
    Id before;  // appended_before: the append that was there; was_not_read: the read
    Id what;    // the append that follows, is read, or is not
};
struct Append {
    Id transaction;
    Id key;
    Value value;
    Id turn;              // among those of its transaction to the key
    bool is_last = true;  // of these
};
struct Read {
    Id transaction;
    Id key;
    const std::vector<Value>* seen;
    std::size_t first;     // in lists_
    std::size_t external;  // so many, without its own appends at the end
};

/// Arcs by the node they leave; each knows the edge that it is.
struct Graph {
    struct Arc {
        Id to;
        Id edge;
    };
    std::vector<std::size_t> first;
    std::vector<Arc> arcs;

    Id nodes() const { return static_cast<Id>(first.size() - 1); }
};

/// The strongly connected components, by Tarjan's algorithm without recursion.
struct Components {
    std::vector<Id> of;
    std::vector<Id> size;

    explicit Components(const Graph& graph)
        : of(graph.nodes(), kNone), low_(graph.nodes()), index_(graph.nodes(), kNone) {
        for (Id root = 0; root < graph.nodes(); ++root) {
            if (index_[root] == kNone) walk_from(root, graph);
        }
    }
    bool in_a_cycle(Id node) const { return size[of[node]] > 1; }

private:
    struct Frame {
        Id node;
        std::size_t arc;
    };
    void enter(Id node, const Graph& graph) {
        index_[node] = low_[node] = next_++;
        open_.push_back(node);
        frames_.push_back({node, graph.first[node]});
    }
    void walk_from(Id root, const Graph& graph) {
        enter(root, graph);
        while (!frames_.empty()) {
            Frame& frame = frames_.back();
            const Id node = frame.node;
            if (frame.arc != graph.first[node + 1]) {
                const Id to = graph.arcs[frame.arc++].to;
                if (index_[to] == kNone) {
                    enter(to, graph);
                } else if (of[to] == kNone) {
                    low_[node] = std::min(low_[node], index_[to]);
                }
                continue;
            }
            frames_.pop_back();
            if (!frames_.empty()) {
                Id& above = low_[frames_.back().node];
                above = std::min(above, low_[node]);
            }
            if (low_[node] == index_[node]) close(node);
        }
    }
    void close(Id root) {
        const Id component = static_cast<Id>(size.size());
        size.push_back(0);
        for (Id node = kNone; node != root;) {
            node = open_.back();
            open_.pop_back();
            of[node] = component;
            ++size[component];
        }
    }

    std::vector<Id> low_;
    std::vector<Id> index_;
    std::vector<Id> open_;
    std::vector<Frame> frames_;
    Id next_ = 0;
};

/// The shortest way from a node back to itself, for every node of a cycle until the visits are
/// used up. Only nodes of transactions count in its length.
class CycleSearch {
public:
    /// Of the graph's nodes those are transactions whose number is below, modulo `copy`.
    CycleSearch(const Graph& graph, Id copy, Id transactions)
        : graph_(graph),
          components_(graph),
          copy_(copy),
          transactions_(transactions),
          far_(graph.nodes(), kNone),
          by_(graph.nodes()) {}

    /// Its edges; empty when there is none.
    std::vector<Id> run() {
        for (Id node = 0; node < graph_.nodes() && shortest_ > 2 && visits_ < kVisitsMax; ++node) {
            if (is_transaction(node) && components_.in_a_cycle(node)) search_from(node);
        }
        return cycle_;
    }

private:
    struct Step {
        Id node;
        Id edge;
    };
    bool is_transaction(Id node) const { return node % copy_ < transactions_; }

    void search_from(Id start) {
        std::deque<Id> queue{start};
        std::vector<Id> touched{start};
        far_[start] = 0;
        while (!queue.empty()) {
            const Id node = queue.front();
            queue.pop_front();
            const Id cost = is_transaction(node) ? 1 : 0;
            const Id there = far_[node] + cost;
            if (there >= shortest_) continue;
            for (std::size_t i = graph_.first[node]; i != graph_.first[node + 1]; ++i) {
                const auto [to, edge] = graph_.arcs[i];
                ++visits_;
                if (to == start) {
                    remember(start, {node, edge}, there);
                    break;
                }
                if (components_.of[to] != components_.of[start] || there >= far_[to]) continue;
                if (far_[to] == kNone) touched.push_back(to);
                far_[to] = there;
                by_[to] = {node, edge};
                if (cost == 0) {
                    queue.push_front(to);
                } else {
                    queue.push_back(to);
                }
            }
        }
        for (const Id node : touched)
            far_[node] = kNone;
    }
    void remember(Id start, Step last, Id length) {
        if (length >= shortest_) return;
        shortest_ = length;
        cycle_.assign(1, last.edge);
        for (Id node = last.node; node != start; node = by_[node].node)
            cycle_.push_back(by_[node].edge);
        std::reverse(cycle_.begin(), cycle_.end());
    }

    const Graph& graph_;
    Components components_;
    Id copy_;
    Id transactions_;
    std::vector<Id> far_;  // how many transactions lie on the way there
    std::vector<Step> by_;
    std::vector<Id> cycle_;
    Id shortest_ = kNone;
    std::size_t visits_ = 0;
};

std::string text_of(const std::vector<Value>& list, std::size_t size) {
    std::string text = "[";
    const std::size_t from = size > kValuesShown ? size - kValuesShown : 0;
    if (from != 0) text += "…, ";
    for (std::size_t i = from; i < size; ++i) {
        if (i != from) text += ", ";
        text += std::to_string(list[i]);
    }
    return text + "]";
}
std::string text_of(const std::vector<Value>& list) {
    return text_of(list, list.size());
}

/// One check of one history. The steps are in the order in which each needs those before it.
class ListCheck {
public:
    ListCheck(const ListHistory& history, Isolation level)
        : history_(history),
          level_(level),
          size_(static_cast<Id>(history.transactions().size())),
          append_of_(history.keys()),
          reads_of_(history.keys()),
          order_(history.keys()),
          counts_(size_, false),
          turns_(size_, 0) {}

    ListVerdict run() {
        if (history_.full()) {
            return {false,
                    false,
                    Anomaly::none,
                    {},
                    "the history was full, so a part of it is missing: give it a larger "
                    "entries_max, or check shorter ones"};
        }
        using Stage = void (ListCheck::*)();
        for (const Stage stage :
             {&ListCheck::collect_appends, &ListCheck::find_what_counts, &ListCheck::collect_reads,
              &ListCheck::check_own, &ListCheck::order_keys, &ListCheck::check_g1a,
              &ListCheck::check_turns, &ListCheck::check_g1b, &ListCheck::build_graph,
              &ListCheck::check_cycles}) {
            (this->*stage)();
            if (verdict_.anomaly != Anomaly::none) return verdict_;
        }
        verdict_.holds = true;
        return verdict_;
    }

private:
    // ---- words ----------------------------------------------------------------------------------

    std::string name(std::size_t transaction) const {
        return "T" + std::to_string(transaction) + " (" +
               history_.transactions()[transaction].client + ")";
    }
    const std::string& key(Id number) const { return history_.key_name(number); }
    std::string value(Id append) const { return std::to_string(appends_[append].value); }
    std::string read_text(const Read& read) const {
        return name(read.transaction) + " read " + key(read.key) + " as " + text_of(*read.seen);
    }
    void found(Anomaly anomaly, std::vector<std::size_t> transactions, const std::string& why) {
        verdict_.anomaly = anomaly;
        verdict_.transactions = std::move(transactions);
        verdict_.why = std::string(name_of(anomaly)) + ": " + why;
    }

    // ---- what was done --------------------------------------------------------------------------

    void collect_appends() {
        std::vector<Id> latest(history_.keys(), kNone);
        for (Id t = 0; t < size_; ++t) {
            for (const Operation& operation : history_.transactions()[t].operations) {
                if (!operation.is_append) continue;
                const Id k = static_cast<Id>(operation.key);
                const Id id = static_cast<Id>(appends_.size());
                const auto [other, fresh] = append_of_[k].emplace(operation.value, id);
                if (!fresh) {
                    const Id first = appends_[other->second].transaction;
                    return found(Anomaly::value_not_unique, {first, t},
                                 std::to_string(operation.value) + " is appended to " + key(k) +
                                     " by " + name(first) + " and again by " + name(t) +
                                     "; a history can be judged only where each append to a key "
                                     "has a value of its own");
                }
                Id turn = 0;
                if (latest[k] != kNone && appends_[latest[k]].transaction == t) {
                    appends_[latest[k]].is_last = false;
                    turn = appends_[latest[k]].turn + 1;
                }
                latest[k] = id;
                appends_.push_back({t, k, operation.value, turn});
            }
        }
        appends_of_.resize(history_.keys());
        for (Id a = 0; a < appends_.size(); ++a)
            appends_of_[appends_[a].key].push_back(a);
    }

    /// Those that committed, and those of unknown end that one of these has seen.
    void find_what_counts() {
        std::vector<Id> left;
        const auto count = [&](Id t) {
            counts_[t] = true;
            left.push_back(t);
        };
        for (Id t = 0; t < size_; ++t) {
            if (history_.transactions()[t].outcome == Outcome::committed) count(t);
        }
        while (!left.empty()) {
            const Id t = left.back();
            left.pop_back();
            for (const Operation& operation : history_.transactions()[t].operations) {
                for (const Value seen : operation.seen) {
                    const auto append = append_of_[operation.key].find(seen);
                    if (append == append_of_[operation.key].end()) continue;
                    const Id writer = appends_[append->second].transaction;
                    if (!counts_[writer] &&
                        history_.transactions()[writer].outcome == Outcome::unknown)
                        count(writer);
                }
            }
        }
    }

    void collect_reads() {
        std::vector<Id> seen_by(appends_.size(), kNone);
        for (Id t = 0; t < size_; ++t) {
            if (!counts_[t]) continue;
            for (const Operation& operation : history_.transactions()[t].operations) {
                if (operation.is_append) continue;
                const Id k = static_cast<Id>(operation.key);
                const Id id = static_cast<Id>(reads_.size());
                const Read read{t, k, &operation.seen, lists_.size(), 0};
                for (const Value seen : operation.seen) {
                    const auto append = append_of_[k].find(seen);
                    if (append == append_of_[k].end()) {
                        return found(
                            Anomaly::value_from_nowhere, {t},
                            read_text(read) + ", and nobody has appended " + std::to_string(seen));
                    }
                    if (seen_by[append->second] == id) {
                        return found(Anomaly::value_seen_twice,
                                     {appends_[append->second].transaction, t},
                                     read_text(read) + ", and " + std::to_string(seen) +
                                         " was appended once");
                    }
                    seen_by[append->second] = id;
                    lists_.push_back(append->second);
                }
                reads_.push_back(read);
                std::size_t& external = reads_.back().external;
                for (external = operation.seen.size(); external != 0; --external) {
                    if (appends_[lists_[read.first + external - 1]].transaction != t) break;
                }
                reads_of_[k].push_back(id);
            }
        }
    }

    // ---- within a transaction -------------------------------------------------------------------

    /// What a transaction knows of a key while its operations are gone through.
    struct Known {
        Id transaction = kNone;
        const std::vector<Value>* read = nullptr;  // the latest
        std::vector<Value> own;                    // all that it has appended
        std::size_t own_read = 0;                  // so many of them before that read
    };

    void check_own() {
        std::vector<Known> known(history_.keys());
        for (Id t = 0; t < size_; ++t) {
            if (!counts_[t]) continue;
            for (const Operation& operation : history_.transactions()[t].operations) {
                Known& here = known[operation.key];
                if (here.transaction != t) here = {t, nullptr, {}, 0};
                if (operation.is_append) {
                    here.own.push_back(operation.value);
                    continue;
                }
                if (!agrees(here, operation.seen)) return disagrees(here, operation);
                here.read = &operation.seen;
                here.own_read = here.own.size();
            }
        }
    }
    bool agrees(const Known& known, const std::vector<Value>& seen) const {
        if (level_ == Isolation::read_committed) {
            // Others may come in between, and a second read may see more than the first.
            std::size_t next = 0;
            for (const Value value : seen)
                next += next < known.own.size() && known.own[next] == value ? 1U : 0U;
            return next == known.own.size();
        }
        const auto own = known.own.begin() + static_cast<std::ptrdiff_t>(known.own_read);
        const auto added = static_cast<std::size_t>(known.own.end() - own);
        if (seen.size() < added) return false;
        const auto middle = seen.end() - static_cast<std::ptrdiff_t>(added);
        if (!std::equal(own, known.own.end(), middle)) return false;
        return known.read == nullptr ||
               std::equal(known.read->begin(), known.read->end(), seen.begin(), middle);
    }
    void disagrees(const Known& known, const Operation& operation) {
        const std::string& of = history_.key_name(operation.key);
        std::string before;
        if (known.read != nullptr) before = " read " + of + " as " + text_of(*known.read);
        if (known.own.size() != known.own_read || before.empty()) {
            if (!before.empty()) before += ",";
            const std::vector<Value> added(
                known.own.begin() + static_cast<std::ptrdiff_t>(known.own_read), known.own.end());
            before += " appended " + text_of(added) + " to " + of;
        }
        found(Anomaly::internal, {known.transaction},
              name(known.transaction) + before + " and then read it as " + text_of(operation.seen));
    }

    // ---- the order of a key ---------------------------------------------------------------------

    void order_keys() {
        for (Id k = 0; k < reads_of_.size(); ++k) {
            if (reads_of_[k].empty()) continue;
            const Id longest = *std::max_element(
                reads_of_[k].begin(), reads_of_[k].end(),
                [&](Id a, Id b) { return reads_[a].external < reads_[b].external; });
            const auto begin = list(reads_[longest]);
            order_[k].assign(begin, begin + external(reads_[longest]));
            for (const Id r : reads_of_[k]) {
                const Read& read = reads_[r];
                if (std::equal(list(read), list(read) + external(read), begin)) continue;
                return found(Anomaly::incompatible_orders,
                             {reads_[longest].transaction, read.transaction},
                             read_text(reads_[longest]) + ", and " + read_text(read) +
                                 "; one of them would have to be the beginning of the other");
            }
        }
    }
    std::vector<Id>::const_iterator list(const Read& read) const {
        return lists_.begin() + static_cast<std::ptrdiff_t>(read.first);
    }
    static std::ptrdiff_t external(const Read& read) {
        return static_cast<std::ptrdiff_t>(read.external);
    }
    /// The latest append of others that it saw.
    Id latest(const Read& read) const { return lists_[read.first + read.external - 1]; }

    void check_g1a() {
        for (const Read& read : reads_) {
            for (std::size_t i = 0; i < read.external; ++i) {
                const Id append = lists_[read.first + i];
                const Id writer = appends_[append].transaction;
                if (counts_[writer]) continue;
                return found(Anomaly::aborted_read, {writer, read.transaction},
                             read_text(read) + ", and " + name(writer) + ", which had appended " +
                                 value(append) + ", was aborted");
            }
        }
    }
    void check_turns() {
        for (Id k = 0; k < order_.size(); ++k) {
            for (const Id append : order_[k])
                turns_[appends_[append].transaction] = 0;
            for (const Id append : order_[k]) {
                const Id writer = appends_[append].transaction;
                if (appends_[append].turn == turns_[writer]++) continue;
                const Id longest =
                    *std::find_if(reads_of_[k].begin(), reads_of_[k].end(),
                                  [&](Id r) { return reads_[r].external == order_[k].size(); });
                return found(Anomaly::out_of_turn, {writer, reads_[longest].transaction},
                             read_text(reads_[longest]) + ", and " + value(append) +
                                 " is not the next that " + name(writer) + " appended to it");
            }
        }
    }
    void check_g1b() {
        for (const Read& read : reads_) {
            if (read.external == 0 || appends_[latest(read)].is_last) continue;
            const Id writer = appends_[latest(read)].transaction;
            return found(Anomaly::intermediate_read, {writer, read.transaction},
                         read_text(read) + ", and " + name(writer) + " appended more to it after " +
                             value(latest(read)));
        }
    }

    // ---- the graph ------------------------------------------------------------------------------

    void build_graph() {
        nodes_ = size_;
        std::vector<Id> place(size_, kNone);  // of a transaction among those of unread_
        for (Id k = 0; k < order_.size(); ++k) {
            collect_unread(k, place);
            add_key(k, place);
            for (const Id append : unread_)
                place[appends_[append].transaction] = kNone;
        }
        if (level_ == Isolation::strict_serializable) add_time();
    }
    void add(Id from, Id to, Kind kind, Id before, Id what) {
        if (from != to) edges_.push_back({from, to, kind, before, what});
    }

    /// The first append of each transaction to the key that nobody else has read, and a node for
    /// all of them up to each, and one for all from each on: without itself, a transaction reaches
    /// the others by two edges.
    void collect_unread(Id k, std::vector<Id>& place) {
        unread_.clear();
        is_ordered_.resize(appends_.size(), false);
        for (const Id append : order_[k])
            is_ordered_[append] = true;
        if (order_[k].size() == appends_of_[k].size()) return;
        for (const Id append : appends_of_[k]) {
            const Id t = appends_[append].transaction;
            if (is_ordered_[append] || !counts_[t] || place[t] != kNone) continue;
            place[t] = static_cast<Id>(unread_.size());
            unread_.push_back(append);
        }
        const Id many = static_cast<Id>(unread_.size());
        up_to_ = nodes_;
        from_on_ = nodes_ + many;
        nodes_ += 2 * many;
        for (Id i = 0; i < many; ++i) {
            const Id writer = appends_[unread_[i]].transaction;
            add(up_to_ + i, writer, passed_on, kNone, unread_[i]);
            add(from_on_ + i, writer, passed_on, kNone, unread_[i]);
            if (i == 0) continue;
            add(up_to_ + i, up_to_ + i - 1, passed_on, kNone, kNone);
            add(from_on_ + i - 1, from_on_ + i, passed_on, kNone, kNone);
        }
    }
    void before_unread(Id t, Id place, Kind kind, Id before) {
        const Id many = static_cast<Id>(unread_.size());
        if (many == 0) return;
        if (place == kNone) return add(t, up_to_ + many - 1, kind, before, kNone);
        if (place != 0) add(t, up_to_ + place - 1, kind, before, kNone);
        if (place + 1 != many) add(t, from_on_ + place + 1, kind, before, kNone);
    }
    void add_key(Id k, const std::vector<Id>& place) {
        const std::vector<Id>& order = order_[k];
        for (std::size_t i = 1; i < order.size(); ++i) {
            add(appends_[order[i - 1]].transaction, appends_[order[i]].transaction, appended_before,
                order[i - 1], order[i]);
        }
        if (!order.empty()) {
            const Id t = appends_[order.back()].transaction;
            before_unread(t, place[t], appended_before, order.back());
        }
        for (const Id r : reads_of_[k]) {
            const Read& read = reads_[r];
            const Id t = read.transaction;
            if (read.external != 0)
                add(appends_[latest(read)].transaction, t, was_read, kNone, latest(read));
            if (read.external != order.size()) {
                const Id next = order[read.external];
                add(t, appends_[next].transaction, was_not_read, r, next);
            } else {
                before_unread(t, place[t], was_not_read, r);
            }
        }
    }

    /// A node for each end, which comes after those of all ends before it.
    void add_time() {
        struct Event {
            std::uint64_t at;
            Id transaction;
            bool is_end;
        };
        std::vector<Event> events;
        for (Id t = 0; t < size_; ++t) {
            const ListHistory::Transaction& transaction = history_.transactions()[t];
            if (!counts_[t]) continue;
            events.push_back({transaction.began, t, false});
            if (transaction.ended != ListHistory::kNever)
                events.push_back({transaction.ended, t, true});
        }
        std::sort(events.begin(), events.end(),
                  [](const Event& a, const Event& b) { return a.at < b.at; });
        Id ends = kNone;  // the node of all that have ended
        for (const Event& event : events) {
            if (!event.is_end) {
                if (ends != kNone) add(ends, event.transaction, passed_on, kNone, kNone);
                continue;
            }
            const Id node = nodes_++;
            add(event.transaction, node, had_ended, kNone, kNone);
            if (ends != kNone) add(ends, node, passed_on, kNone, kNone);
            ends = node;
        }
    }

    // ---- cycles ---------------------------------------------------------------------------------

    void check_cycles() {
        const auto search = [&](Anomaly anomaly, unsigned kinds) {
            if (verdict_.anomaly == Anomaly::none) tell(anomaly, cycle(kinds, false));
        };
        unsigned kinds = passed_on | appended_before;
        search(Anomaly::write_cycle, kinds);
        search(Anomaly::circular_flow, kinds |= was_read);
        if (level_ == Isolation::read_committed || verdict_.anomaly != Anomaly::none) return;
        check_lost_updates();
        if (verdict_.anomaly != Anomaly::none) return;
        kinds |= was_not_read;
        const std::vector<Id> skew = cycle(kinds, true);
        const auto stale = std::count_if(skew.begin(), skew.end(),
                                         [&](Id e) { return edges_[e].kind == was_not_read; });
        tell(stale == 1 ? Anomaly::read_skew : Anomaly::nonadjacent, skew);
        if (level_ == Isolation::snapshot_isolation) return;
        search(Anomaly::write_skew, kinds);
        if (level_ == Isolation::strict_serializable) search(Anomaly::real_time, kinds | had_ended);
    }

    /// Whichever of two appended first, the other had read the list without that.
    void check_lost_updates() {
        std::vector<Id> appends_to(size_, kNone);
        for (Id k = 0; k < reads_of_.size(); ++k) {
            for (const Id append : appends_of_[k])
                appends_to[appends_[append].transaction] = k;
            std::vector<Id> read_at(order_[k].size() + 1, kNone);
            for (const Id r : reads_of_[k]) {
                const Read& read = reads_[r];
                if (appends_to[read.transaction] != k) continue;
                Id& other = read_at[read.external];
                if (other == kNone) other = read.transaction;
                if (other == read.transaction) continue;
                return found(Anomaly::lost_update, {other, read.transaction},
                             name(other) + " and " + name(read.transaction) + " both read " +
                                 key(k) + " as " + text_of(*read.seen, read.external) +
                                 " and appended to it");
            }
        }
    }

    /// The shortest cycle of edges of these kinds. `apart`: no two of was_not_read in a row, which
    /// is what snapshot isolation excludes. For that each node is there twice, and one is in its
    /// second copy if the edge that it was reached by is of that kind.
    std::vector<Id> cycle(unsigned kinds, bool apart) const {
        Graph graph;
        const Id copies = apart ? 2 : 1;
        graph.first.assign(std::size_t{nodes_} * copies + 1, 0);
        const auto each_arc = [&](auto&& use) {
            for (Id e = 0; e < edges_.size(); ++e) {
                const Edge& edge = edges_[e];
                if ((edge.kind & kinds) == 0) continue;
                for (Id copy = 0; copy < copies; ++copy) {
                    const bool stale = edge.kind == was_not_read;
                    if (apart && stale && copy == 1) continue;
                    Id into = apart && stale ? 1 : 0;
                    if (edge.kind == passed_on) into = copy;
                    use(edge.from + copy * nodes_, edge.to + into * nodes_, e);
                }
            }
        };
        each_arc([&](Id from, Id, Id) { ++graph.first[from + 1]; });
        for (std::size_t i = 1; i < graph.first.size(); ++i)
            graph.first[i] += graph.first[i - 1];
        graph.arcs.resize(graph.first.back());
        std::vector<std::size_t> next(graph.first.begin(), graph.first.end() - 1);
        each_arc([&](Id from, Id to, Id e) { graph.arcs[next[from]++] = {to, e}; });
        return CycleSearch(graph, nodes_, size_).run();
    }

    void tell(Anomaly anomaly, const std::vector<Id>& cycle) {
        if (cycle.empty()) return;
        std::vector<std::size_t> transactions;
        std::string reasons;
        for (std::size_t i = 0; i < cycle.size();) {
            Edge edge = edges_[cycle[i++]];
            while (edge.to >= size_) {  // over the nodes in between
                const Edge& next = edges_[cycle[i++]];
                edge.to = next.to;
                edge.what = next.what;
            }
            transactions.push_back(edge.from);
            reasons += (reasons.empty() ? "" : "; ") + reason(edge);
        }
        const std::string many = transactions.size() == 2
                                     ? "two transactions that each come before the other: "
                                     : "a cycle of " + std::to_string(transactions.size()) +
                                           " transactions that each come before the next: ";
        found(anomaly, std::move(transactions), many + reasons);
    }
    std::string reason(const Edge& edge) const {
        const std::string first = name(edge.from);
        const std::string second = name(edge.to);
        switch (edge.kind) {
            case appended_before:
                return first + " appended " + value(edge.before) + " to " +
                       key(appends_[edge.what].key) + " before " + second + " appended " +
                       value(edge.what);
            case was_read:
                return first + " appended " + value(edge.what) + " to " +
                       key(appends_[edge.what].key) + ", and " + second + " read it";
            case was_not_read:
                return read_text(reads_[edge.before]) + ", without the " + value(edge.what) +
                       " of " + second;
            case had_ended:
                return first + " had ended before " + second + " began";
            case passed_on:
                break;
        }
        return first + " came before " + second;
    }

    const ListHistory& history_;
    Isolation level_;
    Id size_;  // of transactions
    ListVerdict verdict_;

    std::vector<Append> appends_;
    std::vector<std::unordered_map<Value, Id>> append_of_;  // by key
    std::vector<std::vector<Id>> appends_of_;               // by key
    std::vector<Read> reads_;
    std::vector<std::vector<Id>> reads_of_;  // by key
    std::vector<Id> lists_;                  // appends, as the reads saw them, one after the other
    std::vector<std::vector<Id>> order_;     // appends, by key, as far as somebody else read them
    std::vector<bool> counts_;               // by transaction
    std::vector<Id> turns_;                  // by transaction, of the key that is looked at

    std::vector<Edge> edges_;
    Id nodes_ = 0;
    std::vector<bool> is_ordered_;  // by append
    std::vector<Id> unread_;        // of the key that is being added
    Id up_to_ = 0;                  // its first node of each of the two rows
    Id from_on_ = 0;
};

}  // namespace

std::string_view name_of(Anomaly anomaly) noexcept {
    switch (anomaly) {
        case Anomaly::none:
            return "no anomaly";
        case Anomaly::value_not_unique:
            return "value not unique";
        case Anomaly::value_from_nowhere:
            return "value from nowhere";
        case Anomaly::value_seen_twice:
            return "value seen twice";
        case Anomaly::internal:
            return "internal inconsistency";
        case Anomaly::incompatible_orders:
            return "incompatible orders";
        case Anomaly::aborted_read:
            return "G1a (aborted read)";
        case Anomaly::out_of_turn:
            return "appends out of turn";
        case Anomaly::intermediate_read:
            return "G1b (intermediate read)";
        case Anomaly::write_cycle:
            return "G0 (write cycle)";
        case Anomaly::circular_flow:
            return "G1c (circular information flow)";
        case Anomaly::lost_update:
            return "lost update";
        case Anomaly::read_skew:
            return "G-single (read skew)";
        case Anomaly::nonadjacent:
            return "G-nonadjacent (skew over several transactions)";
        case Anomaly::write_skew:
            return "G2 (write skew)";
        case Anomaly::real_time:
            return "real time";
    }
    return "unknown anomaly";
}

ListHistory::ListHistory(std::size_t entries_max)
    : entries_left_(std::min(entries_max, kEntriesMax)) {}

bool ListHistory::take(std::size_t entries) {
    if (entries > entries_left_) full_ = true;
    if (!full_) entries_left_ -= entries;
    return !full_;
}
ListHistory::Transaction* ListHistory::open(std::size_t transaction) {
    if (transaction >= transactions_.size()) {
        TROUPE_ASSERT(full_, "a transaction is begun before anything else");
        return nullptr;  // begun when there was no room
    }
    Transaction& one = transactions_[transaction];
    TROUPE_ASSERT(one.ended == kNever, "nothing follows the end of a transaction");
    return &one;
}
std::size_t ListHistory::key_of(std::string_view name) {
    const auto [at, fresh] = keys_.emplace(std::string(name), key_names_.size());
    if (fresh) key_names_.emplace_back(name);
    return at->second;
}

std::size_t ListHistory::begin(std::string_view client) {
    if (!take(1)) return kNever;
    transactions_.push_back({std::string(client), {}, Outcome::unknown, ++events_, kNever});
    return transactions_.size() - 1;
}
void ListHistory::append(std::size_t transaction, std::string_view key, Value value) {
    Transaction* const one = open(transaction);
    if (one != nullptr && take(1)) one->operations.push_back({key_of(key), true, value, {}});
}
void ListHistory::read(std::size_t transaction, std::string_view key, std::vector<Value> seen) {
    Transaction* const one = open(transaction);
    if (one != nullptr && take(1 + seen.size()))
        one->operations.push_back({key_of(key), false, 0, std::move(seen)});
}
void ListHistory::committed(std::size_t transaction) {
    Transaction* const one = open(transaction);
    if (one == nullptr) return;
    one->outcome = Outcome::committed;
    one->ended = ++events_;
}
void ListHistory::aborted(std::size_t transaction) {
    Transaction* const one = open(transaction);
    if (one == nullptr) return;
    one->outcome = Outcome::aborted;
    one->ended = ++events_;
}

ListVerdict check(const ListHistory& history, Isolation level) {
    return ListCheck(history, level).run();
}

}  // namespace troupe::sim
