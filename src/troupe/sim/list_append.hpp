#pragma once

/// Whether transactions over lists that are only appended to were as isolated as a store promises,
/// and which anomaly there was if not.
///
///     sim::ListHistory history;
///     const auto t = history.begin("client a");       // in a client, before it asks
///     history.append(t, "x", 1);
///     history.read(t, "y", {2, 3});                   // the whole list, as the store showed it
///     history.committed(t);                           // or aborted; or nothing, when nobody knows
///     const auto verdict = check(history, sim::Isolation::serializable);
///     EXPECT_TRUE(verdict.holds) << verdict.why;
///
/// The idea is Elle's (Kingsbury and Alvaro, 2020): a list that was read tells who appended what in
/// which order, so that a graph of who must have come before whom follows from the answers alone,
/// and a cycle in it is an anomaly of Adya's catalogue. That takes time and memory in proportion to
/// the history, where a search for an order would not end. What the store did in between need not
/// be known, and what is called an anomaly is one: nothing is guessed.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace troupe::sim {

/// Each allows less than the one before.
enum class Isolation : std::uint8_t {
    read_committed,       ///< nothing aborted or half done is seen: no G0, G1a, G1b, G1c
    snapshot_isolation,   ///< and no lost update, G-single or G-nonadjacent
    serializable,         ///< and no G2
    strict_serializable,  ///< and what had ended comes before what began later
};

enum class Anomaly : std::uint8_t {
    none,
    value_not_unique,     ///< the history's own fault: a value is appended twice to one key
    value_from_nowhere,   ///< a value is seen that nobody has appended
    value_seen_twice,     ///< a list has a value twice
    internal,             ///< a transaction does not see what it has itself written or read
    incompatible_orders,  ///< of two lists read of a key, neither is the beginning of the other
    aborted_read,         ///< G1a: something is seen whose transaction has aborted
    out_of_turn,          ///< appends of one transaction are seen in another order, or with gaps
    intermediate_read,    ///< G1b: a list is seen as it was in the middle of a transaction
    write_cycle,          ///< G0: appends of two transactions are in each other's way
    circular_flow,        ///< G1c: transactions see what each other has written
    lost_update,          ///< two read the same list, and both append to it
    read_skew,            ///< G-single: a cycle with one read of what was out of date
    nonadjacent,          ///< G-nonadjacent: with several of them, never two in a row
    write_skew,           ///< G2: with two in a row
    real_time,            ///< a cycle through what had ended before something else began
};
/// As in Adya's catalogue where it has a name there: "G1a (aborted read)".
std::string_view name_of(Anomaly anomaly) noexcept;

/// What transactions have done, in one order of events.
///
/// Precondition: a value is appended to a key once. `check` says so where it is not.
/// Threads: one at a time.
class ListHistory {
public:
    using Value = std::int64_t;
    enum class Outcome : std::uint8_t { unknown, committed, aborted };
    struct Operation {
        std::size_t key = 0;  ///< see `key_name`
        bool is_append = false;
        Value value = 0;          ///< that is appended
        std::vector<Value> seen;  ///< that were read
    };
    struct Transaction {
        std::string client;
        std::vector<Operation> operations;
        Outcome outcome = Outcome::unknown;
        std::uint64_t began = 0;
        std::uint64_t ended = kNever;
    };
    static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

    /// Of transactions, operations and values read together, this many are kept. A history that is
    /// full takes no more, and cannot be judged.
    explicit ListHistory(std::size_t entries_max = 4'000'000);

    /// A client begins a transaction. The number is that of the transaction.
    std::size_t begin(std::string_view client);
    void append(std::size_t transaction, std::string_view key, Value value);
    /// What it saw, its own appends included. Record it when the answer is there.
    void read(std::size_t transaction, std::string_view key, std::vector<Value> seen);
    /// One that is told neither may have had its effect, or have it later, or never. It has, if a
    /// transaction that counts has seen it.
    void committed(std::size_t transaction);
    void aborted(std::size_t transaction);

    bool full() const noexcept { return full_; }
    const std::vector<Transaction>& transactions() const noexcept { return transactions_; }
    std::size_t keys() const noexcept { return key_names_.size(); }
    const std::string& key_name(std::size_t key) const { return key_names_[key]; }

private:
    bool take(std::size_t entries);
    Transaction* open(std::size_t transaction);
    std::size_t key_of(std::string_view name);

    std::vector<Transaction> transactions_;
    std::vector<std::string> key_names_;
    std::unordered_map<std::string, std::size_t> keys_;
    std::uint64_t events_ = 0;
    std::size_t entries_left_;
    bool full_ = false;
};

struct ListVerdict {
    bool holds = false;
    bool decided = true;  ///< false: the history was full
    Anomaly anomaly = Anomaly::none;
    /// Those of the anomaly, in the order of the cycle if it is one. The cycle is the shortest; in
    /// histories with very many of them, the shortest of those that were looked at.
    std::vector<std::size_t> transactions;
    std::string why;  ///< in words; empty when it holds
};

/// Names one anomaly that the level does not allow, of the gravest kind that there is.
ListVerdict check(const ListHistory& history, Isolation level);

}  // namespace troupe::sim
