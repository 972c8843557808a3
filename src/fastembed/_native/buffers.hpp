// Memory for large outputs: a block is kept when the last array over it dies, and handed to a later output.
//
// The system's allocator returns such blocks to the kernel at every free, so that each new output pays for page faults
// and zeroing again. What is kept is bounded; nothing is handed out while an array over it lives. Called with the GIL
// held only, which is its lock.
#ifndef FASTEMBED_BUFFERS_HPP
#define FASTEMBED_BUFFERS_HPP

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

// AddressSanitizer sees only blocks of malloc, and only what is past their asked-for size.
#if defined(__SANITIZE_ADDRESS__)
#define FASTEMBED_MALLOC 1
#elif defined(__unix__) || defined(__APPLE__)
#define FASTEMBED_MMAP 1
#include <sys/mman.h>
#endif

namespace buffers {

// Blocks start on a page, those that can hold one on a huge page.
constexpr size_t PAGE = 4096;
constexpr size_t HUGE_PAGE = size_t(2) << 20;

struct Block {
    void* data;
    size_t size;
};

// Sizes come in classes, four to each power of two, so that outputs of about the same size share blocks: at most a
// quarter of a block is never written, and so never backed by memory.
inline size_t size_class(size_t bytes) {
#ifdef FASTEMBED_MALLOC
    return bytes;
#else
    size_t step = PAGE;
    while (step * 8 < bytes)
        step *= 2;
    return (bytes + step - 1) / step * step;
#endif
}

#ifdef FASTEMBED_MMAP
inline void* map(size_t size) {
    // more than asked for, and the ends given back: that is how a mapping gets onto a huge page's boundary
    const size_t alignment = size >= 2 * HUGE_PAGE ? HUGE_PAGE : PAGE;
    const size_t extra = alignment - PAGE;
    if (size > PTRDIFF_MAX - extra)
        return nullptr;
    void* place = mmap(nullptr, size + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED)
        return nullptr;
    char* start = static_cast<char*>(place);
    char* data = start + (alignment - reinterpret_cast<uintptr_t>(start) % alignment) % alignment;
    if (data > start)
        munmap(start, static_cast<size_t>(data - start));
    if (data < start + extra)
        munmap(data + size, static_cast<size_t>(start + extra - data));
#ifdef MADV_HUGEPAGE
    if (alignment == HUGE_PAGE)
        madvise(data, size, MADV_HUGEPAGE);
#endif
    return data;
}
inline void unmap(Block block) { munmap(block.data, block.size); }
#elif defined(FASTEMBED_MALLOC)
inline void* map(size_t size) { return std::malloc(size); }
inline void unmap(Block block) { std::free(block.data); }
#else
inline void* map(size_t size) { return _aligned_malloc(size, 64); }
inline void unmap(Block block) { _aligned_free(block.data); }
#endif

class Cache {
public:
    // A block of at least this many bytes, of any content; data is null when there is no memory.
    Block take(size_t bytes) {
        const size_t size = size_class(bytes);
        for (size_t k = blocks_.size(); k-- > 0;) {     // newest first: the likeliest to be in the processor's cache
            if (blocks_[k].size == size) {
                const Block block = blocks_[k];
                blocks_.erase(blocks_.begin() + static_cast<ptrdiff_t>(k));
                kept_ -= size;
                return block;
            }
        }
        void* data = map(size);
        if (!data && kept_) {
            clear();
            data = map(size);
        }
        return Block{data, size};
    }

    // Keeps the block, letting go of the oldest ones to stay within the limit, or lets go of this one.
    void give(Block block) {
        if (block.size > limit_) {
            unmap(block);
            return;
        }
        try {
            blocks_.push_back(block);
        } catch (const std::bad_alloc&) {
            unmap(block);
            return;
        }
        kept_ += block.size;
        shrink_to(limit_);
    }

    void clear() { shrink_to(0); }

    void set_limit(size_t limit) {
        limit_ = limit;
        shrink_to(limit);
    }

    size_t limit() const { return limit_; }
    size_t kept() const { return kept_; }

private:
    void shrink_to(size_t bytes) {
        size_t gone = 0;
        while (kept_ > bytes) {
            kept_ -= blocks_[gone].size;
            unmap(blocks_[gone++]);
        }
        blocks_.erase(blocks_.begin(), blocks_.begin() + static_cast<ptrdiff_t>(gone));
    }

    std::vector<Block> blocks_;     // free ones, oldest first
    size_t kept_ = 0;               // their bytes
    size_t limit_ = size_t(256) << 20;
};

// Never destroyed: arrays may outlive the interpreter's end.
inline Cache& cache() {
    static Cache* the_cache = new Cache;    // uncounted: the compiler's guard against two first callers at once
    return *the_cache;
}

// Memory of a call's own, gone with this object: kept for a later call where page faults would cost more than the work.
class Scratch {
public:
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { release(); }

    // Room for this many bytes, of any content; throws bad_alloc.
    void* reserve(size_t bytes) {
        release();
        kept_ = bytes >= LARGE;
        block_ = kept_ ? cache().take(bytes) : Block{std::malloc(bytes ? bytes : 1), bytes};
        if (!block_.data)
            throw std::bad_alloc();
        return block_.data;
    }

private:
    static constexpr size_t LARGE = 64 * 1024;

    void release() {
        if (block_.data && kept_)
            cache().give(block_);
        else
            std::free(block_.data);
        block_.data = nullptr;
    }

    Block block_ = {nullptr, 0};
    bool kept_ = false;
};

}  // namespace buffers

#endif
