#pragma once

#include <troupe/base/block_pool.hpp>

#include <new>

namespace troupe::actor_internal {

/// Things of the runtime's own that live for a message or an actor: blocks of the pool.
template <class Node>
Node* make_node() {
    return ::new (allocate_block(sizeof(Node))) Node;
}

template <class Node>
void free_node(Node* node) noexcept {
    node->~Node();
    free_block(node, sizeof(Node));
}

}  // namespace troupe::actor_internal
