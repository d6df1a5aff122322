#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.hpp"

namespace boost::asio {
class io_context;
}

/// Lines over file descriptors: pipes to child processes, and the stdin and stdout of this one.
/// Descriptors need not be non-blocking, since those of this process are shared with whoever else
/// has its terminal: nothing is read or written before the kernel says that it will not block.
///
/// Callbacks run on the io_context, never inside a call, and may destroy the object.
namespace wa::loopback {

class LineReader {
 public:
  struct Events {
    std::function<void(std::string_view)> on_line;  ///< without its end; "\r" before it is dropped
    /// Once. An empty text is the end of the file; a last line without an end was given before.
    std::function<void(std::string why)> on_end;
  };
  /// Takes the descriptor. A line above `max_line_bytes` ends the reading.
  LineReader(boost::asio::io_context& io, int descriptor, std::size_t max_line_bytes,
             Events events);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// Gives what has arrived already, at once: the writer is gone. The descriptor must be
  /// non-blocking. Ends the reading without on_end.
  void drain();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

class LineWriter {
 public:
  /// Takes the descriptor. `on_failed` runs once, when the reader has gone.
  LineWriter(boost::asio::io_context& io, int descriptor, std::size_t max_queued_bytes,
             std::function<void(std::string why)> on_failed);
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  /// Queues a line; never blocks. False: it was dropped, because nobody reads what is queued.
  bool write(std::string_view line);
  /// Closes the descriptor once everything is written, then calls `done` (which may be empty).
  void close(std::function<void()> done = {});
  std::size_t queued_bytes() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace wa::loopback
