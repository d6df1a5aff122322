#include "mockserver/control/picture_reader.hpp"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <optional>

#include "mockserver/camera/camera.hpp"

namespace wa::mock::control {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kMostWaiting = 16;
constexpr std::string_view kHow =
    "send the picture itself (curl --data-binary @qr.png), a data: URL, or the QR's text";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

Error malformed(std::string_view what) {
  return Error{Errc::malformed, std::string(what) + "; " + std::string(kHow)};
}

Result<ScanInput> read_data_url(std::string_view url) {
  const std::size_t comma = url.find(',');
  if (comma == std::string_view::npos || !url.substr(0, comma).ends_with(";base64")) {
    return malformed("the data: URL is not of the form data:image/png;base64,…");
  }
  auto picture = from_base64(url.substr(comma + 1));
  if (!picture) return malformed("the data: URL: " + picture.error().detail);
  if (!camera::looks_like_picture(*picture)) {
    return malformed("the data: URL holds neither a PNG nor a JPEG");
  }
  return ScanInput{.text = {}, .picture = std::move(*picture)};
}

/// Text that some clients put into a QR code never has control characters.
bool is_text(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

Result<std::string> read_safely(const Bytes& picture) {
  try {
    return camera::read_picture(picture);
  } catch (const std::exception& failure) {
    return Error{Errc::malformed, std::string("the picture cannot be read: ") + failure.what()};
  }
}

}  // namespace

Result<ScanInput> read_scan_input(ByteSpan body) {
  if (camera::looks_like_picture(body)) return ScanInput{.text = {}, .picture = to_bytes(body)};
  const std::string_view text = trimmed(as_text(body));
  if (text.empty()) return malformed("the body is empty");
  if (text.starts_with("data:")) return read_data_url(text);
  if (!is_text(text)) return malformed("the body is neither a PNG, a JPEG nor text");
  return ScanInput{.text = std::string(text), .picture = {}};
}

class PictureReader::Impl : public std::enable_shared_from_this<Impl> {
 public:
  explicit Impl(asio::io_context& io) : io_(io) {}

  Result<void> read(Bytes picture, Done done) {
    if (stopped_) return Error{Errc::conflict, "the mock server is stopping"};
    if (waiting_ == kMostWaiting) {
      return Error{Errc::conflict,
                   std::to_string(waiting_) + " pictures wait to be read; try again"};
    }
    ++waiting_;
    if (!thread_) thread_.emplace(1);
    // The guard keeps the io_context running until the answer is posted to it. The callback is only
    // carried through the thread: it is called and destroyed on the io_context.
    auto job = [self = weak_from_this(), &io = io_, guard = asio::make_work_guard(io_),
                picture = std::move(picture),
                done = std::make_unique<Done>(std::move(done))]() mutable {
      auto answer = [self, done = std::move(done), text = read_safely(picture)]() mutable {
        const auto alive = self.lock();
        if (!alive || alive->stopped_) return;
        --alive->waiting_;
        (*done)(std::move(text));
      };
      asio::post(io, std::move(answer));
    };
    asio::post(*thread_, std::move(job));
    return {};
  }

  void stop() {
    stopped_ = true;
    if (!thread_) return;
    thread_->stop();
    thread_->join();
    thread_.reset();  // only this destroys what waited, and with it the guards
  }

 private:
  asio::io_context& io_;
  std::optional<asio::thread_pool> thread_;
  std::size_t waiting_ = 0;
  bool stopped_ = false;
};

PictureReader::PictureReader(asio::io_context& io) : impl_(std::make_shared<Impl>(io)) {}
PictureReader::~PictureReader() {
  impl_->stop();
}
void PictureReader::stop() {
  impl_->stop();
}
Result<void> PictureReader::read(Bytes picture, Done done) {
  return impl_->read(std::move(picture), std::move(done));
}

}  // namespace wa::mock::control
