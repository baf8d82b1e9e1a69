#pragma once

namespace troupe::base_internal {

/// Sets what a failed assertion calls between its message and the hook of set_assert_hook: the log
/// brings out its last lines. It must cope with locks that are held, and return soon.
void set_before_abort(void (*last_words)() noexcept) noexcept;

}  // namespace troupe::base_internal
