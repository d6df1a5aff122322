#pragma once

#include <functional>
#include <map>
#include <memory>

#include "engine/base/random.hpp"
#include "engine/client/session.hpp"
#include "engine/runtime/custody.hpp"
#include "scenarios/sim/event_queue.hpp"
#include "scenarios/sim/store.hpp"
#include "scenarios/stage/correspondence.hpp"
#include "scenarios/stage/device.hpp"
#include "scenarios/stage/trace.hpp"

namespace wa::sim {

/// What a simulated device needs of the world around it.
class DeviceSurroundings {
 public:
  virtual ~DeviceSurroundings() = default;
  virtual Now now() const = 0;
  virtual void dial(std::uint32_t device, const client::DialSocket& dial) = 0;
  virtual void send(std::uint32_t device, client::Generation generation, Bytes bytes) = 0;
  virtual void close(std::uint32_t device, client::Generation generation, client::CloseHow how) = 0;
  // For the invariants.
  virtual void said(const stage::Device& device, const stage::Entry& entry) = 0;
  virtual void asked(const stage::Device& device, const stage::Device::Asked& asked) = 0;
  virtual void account_gone(const stage::Device& device) = 0;
  /// `extra`: beside what a commit usually takes.
  virtual void begin_commit(std::uint32_t device, std::uint32_t incarnation, Duration extra) = 0;
  /// The process is to die, once it has come out of what it does now.
  virtual void begin_death(std::uint32_t device, std::uint32_t incarnation) = 0;
  /// Faults of its disk have a chance at this commit; at its end they have had it.
  virtual void commit_meets_disk(const stage::Device& device) = 0;
  virtual void commit_met_disk(const stage::Device& device) = 0;
  virtual void begin_load(std::uint32_t device, std::uint32_t incarnation, std::uint32_t load) = 0;
  virtual void begin_compute(std::uint32_t device, std::uint32_t incarnation,
                             std::uint32_t job) = 0;
  /// The application has taken an event.
  virtual void begin_taking(std::uint32_t device, std::uint32_t incarnation, std::uint32_t seq) = 0;
  /// Sockets that it holds or dials.
  virtual std::size_t open_sockets(std::uint32_t device) const = 0;
  virtual void set_alarm(std::uint32_t device, std::optional<Instant> at) = 0;
  virtual Bytes& trace_open(stage::Trace::Actor actor) = 0;
  virtual stage::Trace& trace() = 0;
  /// For tests: may change a message before it is sent.
  virtual void touch(Bytes& message) = 0;
};

/// For tests of the invariants: how devices misbehave.
struct Sabotage {
  std::function<void(client::Config&)> config;
  /// May lose or change what a step of the session leads to, before it is performed.
  std::function<void(std::vector<client::Action>&)> actions;
  /// False: the session never hears of it.
  std::function<bool(const client::Event&)> hears;
  /// Runs without owning what is stored.
  bool ignores_lease = false;
};

/// A client::Session with its shell in virtual time: its custody, the alarm, the store, and the
/// process that can be killed.
class Device final : public stage::Device {
 public:
  struct Setup {
    std::uint32_t index = 0;
    std::uint64_t seed = 0;
    client::Config config;
    std::shared_ptr<Store> store;
    std::shared_ptr<const Store> cloned_from;  ///< null: none
    const Sabotage* sabotage = nullptr;
  };
  Device(DeviceSurroundings& surroundings, std::string engine, std::string name,
         stage::DeviceOptions options, Setup setup);

  void kill() override;
  stage::Ref hold(std::string point, stage::HoldPhase phase, std::uint32_t nth) override;
  stage::Ref release() override;
  stage::Ref inspect() override;
  Result<std::string> stored_digest() override;
  Result<std::size_t> copy_stored() override;

  /// Dies at this commit, when it comes. `on_death`: just before.
  void kill_at(std::string point, stage::HoldPhase phase, std::function<void()> on_death);
  void dies(std::uint32_t incarnation);
  /// The wall clock of its host, ahead of everybody's by this much more.
  void jump_clock(Duration jump) { wall_offset_ += jump; }

  /// Something happened that concerns the session alone.
  void feed(const client::Event& event);
  /// The device's alarm: the session's, or one of its shell.
  void alarm();
  /// The disk has done with the commit, for better or worse.
  void commit_done(std::uint32_t incarnation);
  void loaded(std::uint32_t incarnation, std::uint32_t load);
  void computed(std::uint32_t incarnation, std::uint32_t job);
  void taken(std::uint32_t incarnation, std::uint32_t seq);

  /// Null while the process does not run.
  const client::Session* session() const { return session_.get(); }
  const client::Status& status() const { return status_; }
  /// Something is asked of the store.
  bool busy() const { return custody_.busy(); }

 private:
  void do_start(stage::Ref ref, std::string pairing_number) override;
  void do_stop(stage::Ref ref) override;
  void do_logout(stage::Ref ref) override;
  void do_remove(stage::Ref ref) override;
  void do_send(stage::Ref ref, boost::json::object message) override;
  void do_read(stage::Ref ref, std::string chat, std::vector<std::string> ids) override;
  void do_trust(stage::Ref ref, std::string account) override;
  void do_wish(stage::Ref ref, std::string command, boost::json::object fields) override;
  Result<stage::DamagedRecord> do_damage(const stage::Damage& damage) override;
  Result<void> do_restore(std::size_t copy) override;
  Instant now() const override { return world_.now().mono; }
  void was_asked(const Asked& asked) override { world_.asked(*this, asked); }
  void pushed(const stage::Entry& entry) override { world_.said(*this, entry); }
  /// Whether the commit under way is the one to stand still at.
  bool holds(stage::HoldPhase phase);
  Now host_now() const;
  /// Builds the session from what is durable. False: that is damaged.
  bool boot();
  void command(stage::Ref ref, client::Event event);
  /// Something happened; what it leads to is performed.
  void tell(runtime::Custody::Event event);
  void decide(runtime::Custody::Event event);
  void perform(runtime::Custody::Action& action);
  void step_session(const client::Event& event);
  /// After everything that happens.
  void settle();
  /// Takes the store, now or once it is not locked any more, and builds the session, if there is
  /// none that still knows what is stored.
  void open();
  void erase(stage::Ref ref);
  void answer(const runtime::Custody::Answer& answer);
  void begin_commit();
  void commit_durable();
  void destroy_session(client::CloseHow how);
  std::string owner() const { return engine() + "/" + name(); }
  bool has_account() const;
  void perform(client::Action& action);
  void publish(const client::Status& status);
  void told(const messaging::AppEvent& event);
  bool answer_send(stage::Ref ref, const messaging::AppEvent::What& what);
  void log(client::Report::Level level, std::string_view text);
  void record(const client::Action& action);
  void done(stage::Ref ref, boost::json::object data = {});
  void error(stage::Ref ref, std::string_view code, std::string_view text);

  DeviceSurroundings& world_;
  Setup setup_;
  stage::Trace::Actor actor_;
  std::uint32_t epoch_ = 0;        ///< of the store that session_ was built from
  std::uint32_t incarnation_ = 0;  ///< of the process; what an earlier one began is void
  std::unique_ptr<SeededRandom> random_;
  std::unique_ptr<client::Session> session_;
  runtime::Custody custody_;
  bool unheard_ = false;  ///< the event of this moment, by sabotage
  client::Status status_;
  client::Commit committing_;
  Instant commit_began_;
  std::optional<Instant> opening_since_;  ///< waits for a file that is locked
  std::optional<Instant> open_again_at_;  ///< and tries again
  struct Hold {
    std::string point;
    stage::HoldPhase phase = stage::HoldPhase::before;
    std::uint32_t left = 1;  ///< commits of that name until it stands still
    bool stands = false;
    std::function<void()> on_death;  ///< it dies instead of standing still
  };
  std::optional<Hold> hold_;
  Duration wall_offset_{};
  std::map<std::uint32_t, runtime::Custody::Lookup> looking_up_;  ///< by load
  std::map<std::uint32_t, client::ComputeJob> computing_;
  std::vector<Store::Copy> copies_;
  stage::Correspondence correspondence_;
  std::map<stage::Ref, client::SendRequested> sends_;  ///< that are not answered yet
};

}  // namespace wa::sim
