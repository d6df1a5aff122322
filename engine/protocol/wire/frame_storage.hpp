#pragma once

#include <new>

#include "engine/protocol/wire/node.hpp"

namespace wa::wire {

/// What a Frame owns: the plaintext, the root and the memory of the tree. The first block of the
/// arena lies directly behind this object, so that a small frame costs one allocation.
struct Frame::Storage {
  /// Most memory that one tree may take. Tokens of one byte become views of many, so a hostile
  /// frame of 16 MiB could otherwise ask for 500 MB; what real servers and clients send stays far
  /// below.
  static constexpr std::size_t kMaxTreeBytes = std::size_t{128} * 1024 * 1024;

  static std::unique_ptr<Storage> create(Bytes plaintext, std::size_t node_offset);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  // The memory is larger than the object: no sized deallocation.
  static void operator delete(void* memory) { ::operator delete(memory); }

  /// Memory for `bytes`, aligned for every type of the tree; null above kMaxTreeBytes.
  void* allocate(std::size_t bytes) {
    const std::size_t rounded = (bytes + (kAlignment - 1)) & ~(kAlignment - 1);
    if (rounded > static_cast<std::size_t>(end_ - next_)) return allocate_block(rounded);
    void* memory = next_;
    next_ += rounded;
    return memory;
  }

  ByteSpan node_bytes() const { return ByteSpan(plaintext).subspan(node_offset); }

  Bytes plaintext;
  std::size_t node_offset;
  Node root;

 private:
  static constexpr std::size_t kAlignment = alignof(Node);
  static constexpr std::size_t kBlockBytes = 16 * 1024;
  static constexpr std::size_t kBlockHeaderBytes = 16;  ///< a Block, and the arena stays aligned
  struct Block {
    Block* previous;
  };
  static_assert(sizeof(Block) <= kBlockHeaderBytes && kBlockHeaderBytes % kAlignment == 0);

  Storage(Bytes bytes, std::size_t offset, std::byte* begin, std::byte* end)
      : plaintext(std::move(bytes)), node_offset(offset), next_(begin), end_(end) {}
  void* allocate_block(std::size_t bytes);

  std::byte* next_;
  std::byte* end_;
  Block* blocks_ = nullptr;
  std::size_t block_bytes_ = 0;
};

}  // namespace wa::wire
