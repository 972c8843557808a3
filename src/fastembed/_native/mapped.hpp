// Files mapped into memory that somebody cuts short: reading past their new end raises SIGBUS, which ends a process.
//
// The mappings we know of are watched: on a fault in one, the handler puts zeros over the rest of it, marks it as lost
// and lets the reader go on, on whatever thread. Who reads asks afterwards whether what was read was lost. A fault
// anywhere else goes to the handler that was there before. Nothing is installed until the first mapping is watched.
//
// watch() and forget() are called with the GIL held, which is their lock; the handler only loads and stores atomics.
#ifndef FASTEMBED_MAPPED_HPP
#define FASTEMBED_MAPPED_HPP

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>

#if defined(__unix__) || defined(__APPLE__)
#define FASTEMBED_CATCHES_FAULTS 1
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace mapped {

// Never freed, but used again: the handler may be walking the list.
struct Slot {
    std::atomic<uintptr_t> start{0};    // 0: free
    std::atomic<uintptr_t> end{0};
    std::atomic<bool> lost{false};
    Slot* next = nullptr;
};

inline std::atomic<Slot*>& slots() {
    static std::atomic<Slot*> first{nullptr};
    return first;
}

// How many watched mappings are lost: nearly always none, so that asking costs a load.
inline std::atomic<int>& lost_count() {
    static std::atomic<int> count{0};
    return count;
}

// Whether a byte of this memory is of a mapping that is lost.
inline bool lost(const void* place, size_t bytes) {
    if (lost_count().load(std::memory_order_acquire) == 0)
        return false;
    const uintptr_t from = reinterpret_cast<uintptr_t>(place);
    for (Slot* slot = slots().load(std::memory_order_acquire); slot; slot = slot->next)
        if (slot->lost.load() && from < slot->end.load() && slot->start.load() < from + bytes)
            return true;
    return false;
}

// Whether a byte of this memory is of a mapping that is watched.
inline bool watched(const void* place, size_t bytes) {
    const uintptr_t from = reinterpret_cast<uintptr_t>(place);
    for (Slot* slot = slots().load(std::memory_order_acquire); slot; slot = slot->next)
        if (slot->start.load() != 0 && from < slot->end.load() && slot->start.load() < from + bytes)
            return true;
    return false;
}

#ifdef FASTEMBED_CATCHES_FAULTS

inline struct sigaction& previous() {
    static struct sigaction action;
    return action;
}

inline std::atomic<uintptr_t>& page_size() {
    static std::atomic<uintptr_t> size{4096};
    return size;
}

// Puts zeros in the place of what is left of the mapping from this address on; false when the address is in none.
inline bool cover(uintptr_t address) {
    for (Slot* slot = slots().load(std::memory_order_acquire); slot; slot = slot->next) {
        const uintptr_t start = slot->start.load(std::memory_order_acquire);
        const uintptr_t end = slot->end.load(std::memory_order_acquire);
        if (start == 0 || address < start || address >= end)
            continue;
        const uintptr_t page = address - address % page_size().load();
        void* zeros = mmap(reinterpret_cast<void*>(page), end - page, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        if (zeros == MAP_FAILED)
            return false;
        if (!slot->lost.exchange(true))
            lost_count().fetch_add(1);
        return true;
    }
    return false;
}

inline void on_fault(int number, siginfo_t* info, void* context) {
    static thread_local volatile int handing_on = 0;    // the handler before may hand back to us
    const int error = errno;
    if (cover(reinterpret_cast<uintptr_t>(info->si_addr))) {
        errno = error;
        return;
    }
    const struct sigaction before = previous();
    if (handing_on == 0 && (before.sa_flags & SA_SIGINFO) && before.sa_sigaction) {
        handing_on = 1;
        before.sa_sigaction(number, info, context);
        handing_on = 0;
    } else if (handing_on == 0 && !(before.sa_flags & SA_SIGINFO) && before.sa_handler != SIG_DFL
               && before.sa_handler != SIG_IGN) {
        handing_on = 1;
        before.sa_handler(number);
        handing_on = 0;
    } else {
        signal(number, SIG_DFL);    // the fault comes again, and ends the process as it would have without us
    }
    errno = error;
}

// Makes sure that ours is the handler; one that came after it is handed on to from now on.
inline void install() {
    struct sigaction now, ours;
    sigaction(SIGBUS, nullptr, &now);
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault)
        return;
    page_size().store(static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)));
    previous() = now;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = on_fault;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&ours.sa_mask);
    sigaction(SIGBUS, &ours, nullptr);
}

#else
inline void install() {}
#endif

// Watches a mapping of this many bytes; null when there is no memory.
inline Slot* watch(uintptr_t start, size_t bytes) {
    Slot* slot = slots().load();
    while (slot && slot->start.load() != 0)
        slot = slot->next;
    if (!slot) {
        slot = new (std::nothrow) Slot;
        if (!slot)
            return nullptr;
        slot->next = slots().load();
        slots().store(slot, std::memory_order_release);
    }
    slot->lost.store(false);
    slot->end.store(start + bytes);
    slot->start.store(start, std::memory_order_release);
    install();
    return slot;
}

// Called before the memory is unmapped.
inline void forget(Slot* slot) {
    slot->start.store(0);
    if (slot->lost.exchange(false))
        lost_count().fetch_sub(1);
}

}  // namespace mapped

#endif
