#pragma once

// Clang's thread-safety annotations (-Wthread-safety): which mutex guards what, checked at compile
// time. GCC sees nothing of them.

#if defined(__clang__)
#define TROUPE_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define TROUPE_THREAD_ANNOTATION(x)
#endif

/// On a class: it is a lock.
#define TROUPE_CAPABILITY(name) TROUPE_THREAD_ANNOTATION(capability(name))
/// On a class: its constructor locks and its destructor unlocks.
#define TROUPE_SCOPED_CAPABILITY TROUPE_THREAD_ANNOTATION(scoped_lockable)
/// On a member: touched only while the mutex is held.
#define TROUPE_GUARDED_BY(mutex) TROUPE_THREAD_ANNOTATION(guarded_by(mutex))
/// On a pointer member: what it points to is touched only while the mutex is held.
#define TROUPE_PT_GUARDED_BY(mutex) TROUPE_THREAD_ANNOTATION(pt_guarded_by(mutex))
/// On a function: the caller holds the mutex.
#define TROUPE_REQUIRES(...) TROUPE_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
/// On a function: the caller does not hold the mutex, the function takes it.
#define TROUPE_EXCLUDES(...) TROUPE_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
/// On a function: it returns holding the mutex.
#define TROUPE_ACQUIRE(...) TROUPE_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
/// On a function: it gives the mutex back.
#define TROUPE_RELEASE(...) TROUPE_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
/// On a function: it holds the mutex when it returned the given value.
#define TROUPE_TRY_ACQUIRE(...) TROUPE_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
/// On a function: it returns a reference to this mutex.
#define TROUPE_RETURN_CAPABILITY(mutex) TROUPE_THREAD_ANNOTATION(lock_returned(mutex))
/// On a function whose locking the analysis cannot follow; a comment says why it is right.
#define TROUPE_NO_THREAD_SAFETY_ANALYSIS TROUPE_THREAD_ANNOTATION(no_thread_safety_analysis)
