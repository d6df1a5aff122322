#pragma once

#include <boost/json/object.hpp>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "scenarios/loopback/child_process.hpp"
#include "scenarios/stage/device.hpp"
#include "scenarios/stage/scenario.hpp"

namespace wa::loopback {

class Device;

/// What a client says of itself.
struct Hello {
  std::string name;
  std::string version;
  std::vector<std::string> capabilities;
  bool can(std::string_view capability) const;
  /// An option of `start`: the capability `options` means all, `option.NAME` this one.
  bool can_option(std::string_view option) const;
};

class Client;

/// What a client needs of the world around it.
class ClientSurroundings {
 public:
  virtual ~ClientSurroundings() = default;
  virtual boost::asio::io_context& io() = 0;
  virtual Now now() const = 0;
  virtual const std::vector<std::string>& command() const = 0;
  virtual ChildProcess::Environment environment(const Client& client) const = 0;
  virtual void greeted(const Hello& hello) = 0;
  /// A process of it runs and has said hello.
  virtual void began(Client& client) = 0;
  virtual void host_fault_fired(const std::string& id) = 0;
  /// The hello of the world's clients; null before the first. All are taken to be the same.
  virtual const Hello* hello() const = 0;
  virtual void log(std::string_view source, std::string_view line) = 0;
  virtual void failed(stage::Failure failure) = 0;
};

/// One client process: commands out, events in, for the devices that it runs. It may be started
/// again after its end.
///
///     idle ──run──▶ starting ──hello──▶ greeted ──close──▶ closing ──exit──▶ idle
///       ▲              │                   │
///       └──────────────┴── kill, exit, nonsense (devices are told)
class Client {
 public:
  /// `name` is "engine" or "engine/device"; `label` the first device that it runs.
  Client(ClientSurroundings& surroundings, std::string name, std::string label,
         std::string state_dir);
  ~Client();

  const std::string& name() const { return name_; }
  void rename(std::string_view name) { name_ = name; }
  /// Stays the same for all processes that it is one after the other.
  const std::string& owner() const { return owner_; }
  const std::string& label() const { return label_; }
  const std::string& state_dir() const { return state_dir_; }
  void add(Device& device) { devices_.push_back(&device); }

  /// Starts the process, if it does not run. Errors: `environment`.
  Result<void> run();
  bool running() const { return process_ && process_->running(); }
  bool greeted() const { return running() && greeted_; }
  int pid() const { return process_->pid(); }
  std::string last_words() const { return process_ ? process_->last_words() : std::string(); }

  /// Commands wait for the hello.
  void send(Device& device, stage::Ref ref, std::string_view command,
            boost::json::object fields = {});
  /// By the scenario: its devices get `killed`.
  void kill();
  /// Ends stdin: the client is to exit by itself.
  void close();
  /// It did not.
  void end_late(Duration patience);

 private:
  void on_line(std::string_view text);
  void on_hello(const boost::json::object& line);
  void on_event(std::string_view event, boost::json::object line);
  void on_answer(std::string_view event, boost::json::object line);
  void on_exit(const std::string& how, bool success);
  /// The client speaks against the protocol: it is ended.
  void nonsense(std::string why, std::string_view text);
  /// Told to the devices: `kind` is killed or exited.
  void ended(std::string_view kind, const std::string& how);
  void fail(const std::string& what);
  Instant time_of(const boost::json::object& line) const;
  bool multi_device() const;

  struct Asked {
    Device* device;
    stage::Ref ref;
  };

  ClientSurroundings& world_;
  std::string name_;
  const std::string owner_;
  const std::string label_;
  const std::string state_dir_;
  std::vector<Device*> devices_;
  std::unique_ptr<ChildProcess> process_;
  bool greeted_ = false;
  bool closing_ = false;
  bool broken_ = false;
  std::deque<std::string> waiting_;  ///< for the hello
  std::uint64_t next_ref_ = 1;       ///< on the wire: one series for all devices
  std::map<std::uint64_t, Asked> asked_;
};

}  // namespace wa::loopback
