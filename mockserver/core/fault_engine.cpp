#include "mockserver/core/fault_engine.hpp"

#include <algorithm>

#include "engine/base/random.hpp"
#include "mockserver/core/json_members.hpp"

namespace wa::mock {
namespace {

FaultClass class_of(const FaultRecord& record) {
  return record.description().fault_class;
}

bool is_standing(const FaultRecord& record) {
  return class_of(record) == FaultClass::standing;
}

/// Single chances are picked; for host faults that is judged where the chances are.
bool picks_chances(const FaultRecord& record) {
  return !record.is_host() && (record.when.nth || record.when.every || record.when.probability);
}

bool used_up(const FaultEngine::Active& active) {
  const FaultRecord& record = active.record;
  // The budget of a standing host fault is one of chances, too.
  if (is_standing(record) && record.is_host()) return false;
  return record.budget && active.fired >= *record.budget;
}

std::string connection_key(const FaultSubject& subject) {
  return "connection " + std::to_string(subject.connection);
}

/// A device may have become known by its JID since.
bool holds(const std::set<std::string>& devices, const FaultSubject& subject) {
  if (devices.empty()) return false;
  return devices.contains(FaultEngine::device_key(subject)) ||
         devices.contains(connection_key(subject));
}

std::string index_key(const FaultWhere& where) {
  if (!where.device.empty()) return "d" + where.device;
  if (!where.connection.empty()) return "c" + where.connection;
  if (!where.account.empty()) return "a" + where.account;
  return {};
}

bool moves_state(EventKind kind) {
  return kind == EventKind::connected || kind == EventKind::registration ||
         kind == EventKind::success || kind == EventKind::closed;
}

}  // namespace

// ---- index --------------------------------------------------------------------------------------

void FaultEngine::Index::add(Active& active) {
  const std::string key = index_key(active.record.where);
  Row& row = key.empty() ? anybody_ : by_device_[key];
  row.emplace(active.sequence, &active);
}

void FaultEngine::Index::remove(const Active& active) {
  const std::string key = index_key(active.record.where);
  if (key.empty()) {
    anybody_.erase(active.sequence);
    return;
  }
  const auto row = by_device_.find(key);
  if (row == by_device_.end()) return;
  row->second.erase(active.sequence);
  if (row->second.empty()) by_device_.erase(row);
}

void FaultEngine::Index::clear() {
  anybody_.clear();
  by_device_.clear();
}

std::vector<FaultEngine::Active*> FaultEngine::Index::about(const FaultSubject& subject) const {
  std::vector<Active*> found;
  for (const auto& [sequence, active] : anybody_) found.push_back(active);
  if (by_device_.empty()) return found;
  const std::string keys[] = {
      "d" + std::string(subject.label),   "d" + std::string(subject.device_jid),
      "d" + std::string(subject.number),  "c" + std::to_string(subject.connection),
      "a" + std::string(subject.account), "a" + std::string(subject.number)};
  for (std::size_t i = 0; i < std::size(keys); ++i) {
    if (std::find(keys, keys + i, keys[i]) != keys + i) continue;
    const auto row = by_device_.find(keys[i]);
    if (row == by_device_.end()) continue;
    for (const auto& [sequence, active] : row->second) found.push_back(active);
  }
  std::sort(found.begin(), found.end(),
            [](const Active* a, const Active* b) { return a->sequence < b->sequence; });
  return found;
}

template <class Visit>
void FaultEngine::for_each_index(const FaultRecord& record, Visit visit) {
  const FaultWhen& when = record.when;
  const std::optional<FaultHeal>& heal = record.heal;
  visit(by_kind_[record.kind.index()]);
  if (when.on_event && !when.manual) visit(by_event_[static_cast<std::size_t>(*when.on_event)]);
  if (heal && heal->on_event && !heal->manual) {
    visit(by_heal_event_[static_cast<std::size_t>(*heal->on_event)]);
  }
  const bool clocked = (!when.manual && ((when.after && !when.on_event) || when.at)) ||
                       (is_standing(record) && when.between) || (heal && heal->at);
  if (clocked) visit(by_clock_);
  if (is_standing(record)) visit(by_standing_);
}

// ---- records ------------------------------------------------------------------------------------

bool FaultEngine::Active::active() const {
  if (healed || used_up(*this)) return false;
  switch (class_of(record)) {
    case FaultClass::moment: return true;
    case FaultClass::standing: return !on.empty();
    case FaultClass::occasion: return !record.when.has_trigger() || armed_for_all || !armed.empty();
  }
  return false;
}

const FaultEngine::Active* FaultEngine::find(std::string_view id) const {
  const auto found = by_id_.find(std::string(id));
  return found == by_id_.end() ? nullptr : &*found->second;
}

FaultEngine::Active* FaultEngine::find_active(std::string_view id) {
  const auto found = by_id_.find(std::string(id));
  return found == by_id_.end() ? nullptr : &*found->second;
}

Result<std::string> FaultEngine::add(FaultRecord record, Now now) {
  if (record.id.empty()) {
    do {
      record.id = "f" + std::to_string(next_id_++);
    } while (by_id_.contains(record.id));
  } else if (by_id_.contains(record.id)) {
    return Error{Errc::conflict, "there is already a fault \"" + record.id + "\""};
  }
  std::string id = record.id;
  records_.emplace_back();
  Active& active = records_.back();
  active.record = std::move(record);
  active.sequence = next_sequence_++;
  by_id_.emplace(id, std::prev(records_.end()));
  const FaultWhere& where = active.record.where;
  // A record for another tenant, or one that is never drawn, is only kept.
  const bool never = active.record.when.probability == 0.0 && active.record.is_host();
  if (never || (!where.tenant.empty() && where.tenant != tenant_)) return id;
  for_each_index(active.record, [&](Index& index) { index.add(active); });

  const bool standing = is_standing(active.record);
  const FaultWhen& when = active.record.when;
  if (standing && active.record.is_host() && where.account.empty() && !when.has_trigger() &&
      !when.between && !when.on_state) {
    // A client's host may be at fault before it ever connects.
    switch_on_for_all(active, now);
  }
  if (!standing && !when.after && !when.at && !(active.record.heal && active.record.heal->at)) {
    return id;
  }
  for (const auto& [device, seen] : seen_) {
    start_clocks(active, device, seen, now);
    if (standing) update_switch(active, seen.subject(), now);
  }
  return id;
}

void FaultEngine::switch_on_for_all(Active& active, Now now) {
  if (!active.on.insert("").second) return;
  active.counted.insert("");
  due_.push_back({Due::What::switched_on, &active.record, active.record.where.device});
  count_act(active, now);
}

Result<void> FaultEngine::remove(std::string_view id, Now) {
  const auto found = by_id_.find(std::string(id));
  if (found == by_id_.end()) {
    return Error{Errc::not_found, "there is no fault \"" + std::string(id) + "\""};
  }
  removed_.clear();
  Active& active = *found->second;
  retire(active);
  for (const std::string& device : active.counted) {
    due_.push_back({Due::What::switched_off, &active.record,
                    device.empty() ? active.record.where.device : device});
  }
  removed_.splice(removed_.end(), records_, found->second);
  by_id_.erase(found);
  return {};
}

void FaultEngine::clear() {
  due_.clear();
  removed_.clear();
  for (Active& active : records_) {
    for (const std::string& device : active.counted) {
      due_.push_back({Due::What::switched_off, &active.record,
                      device.empty() ? active.record.where.device : device});
    }
  }
  removed_.splice(removed_.end(), records_);
  by_id_.clear();
  for (Index& index : by_kind_) index.clear();
  for (Index& index : by_event_) index.clear();
  for (Index& index : by_heal_event_) index.clear();
  by_clock_.clear();
  by_standing_.clear();
  timers_.clear();
  seen_.clear();
}

/// Nothing will come of the record any more: it costs nothing from now on.
void FaultEngine::retire(Active& active) {
  for_each_index(active.record, [&](Index& index) { index.remove(active); });
  cancel_timers(active);
}

void FaultEngine::end(Active& active) {
  if (active.healed) return;
  retire(active);
  active.healed = true;
  active.on.clear();
  active.counted.clear();
  due_.push_back({Due::What::healed, &active.record, active.record.where.device});
}

Result<const FaultRecord*> FaultEngine::fire(std::string_view id, Now now) {
  Active* active = find_active(id);
  if (active == nullptr) {
    return Error{Errc::not_found, "there is no fault \"" + std::string(id) + "\""};
  }
  if (active->healed) {
    return Error{Errc::conflict, "fault \"" + std::string(id) + "\" is healed"};
  }
  if (used_up(*active)) {
    return Error{Errc::conflict, "the budget of fault \"" + std::string(id) + "\" is used up"};
  }
  switch (class_of(active->record)) {
    case FaultClass::moment: count_act(*active, now); break;
    case FaultClass::occasion: {
      active->armed_for_all = true;
      for (const auto& [device, seen] : seen_) {
        const FaultSubject subject = seen.subject();
        if (!used_up(*active) && is_about(*active, subject)) trigger(*active, subject, now);
      }
      break;
    }
    case FaultClass::standing:
      active->armed_for_all = true;
      if (active->record.is_host() && active->record.where.account.empty()) {
        switch_on_for_all(*active, now);
      } else {
        for (const auto& [device, seen] : seen_) update_switch(*active, seen.subject(), now);
      }
      break;
  }
  return &active->record;
}

Result<void> FaultEngine::heal(std::string_view id, Now) {
  Active* active = find_active(id);
  if (active == nullptr) {
    return Error{Errc::not_found, "there is no fault \"" + std::string(id) + "\""};
  }
  end(*active);
  return {};
}

// ---- conditions ---------------------------------------------------------------------------------

std::string FaultEngine::device_key(const FaultSubject& subject) {
  if (!subject.label.empty()) return std::string(subject.label);
  if (!subject.device_jid.empty()) return std::string(subject.device_jid);
  return connection_key(subject);
}

bool FaultEngine::is_about(const Active& active, const FaultSubject& subject) const {
  return active.record.where.matches(subject);
}

bool FaultEngine::in_window(const Active& active, const std::string& device, Now now) const {
  const auto& between = active.record.when.between;
  if (!between) return true;
  const auto seen = seen_.find(device);
  if (seen == seen_.end()) return false;
  const Duration since = now.mono - seen->second.first;
  return since >= between->first && since < between->second;
}

bool FaultEngine::is_armed(const Active& active, const FaultSubject& subject) const {
  return !active.record.when.has_trigger() || active.armed_for_all || holds(active.armed, subject);
}

bool FaultEngine::has_chance(const Active& active, const Occasion& occasion, Now now) const {
  const FaultRecord& record = active.record;
  if (active.healed || used_up(active) || !is_about(active, occasion.subject)) return false;
  const auto& direction = record.where.direction;
  if (direction && occasion.direction && direction != occasion.direction) return false;
  if (record.when.on_state && record.when.on_state != occasion.subject.state) return false;
  return is_armed(active, occasion.subject) &&
         in_window(active, device_key(occasion.subject), now) &&
         record.where.stanza.matches(occasion.stanza);
}

bool FaultEngine::chosen(Active& active) {
  const FaultWhen& when = active.record.when;
  ++active.matches;
  if (when.nth && active.matches != *when.nth) return false;
  if (when.every && active.matches % *when.every != 0) return false;
  if (when.probability) {
    // The record's own stream: another record, or none, changes nothing for the others.
    SeededRandom draw(seed_, "fault " + active.record.id, std::to_string(active.draws++));
    constexpr std::uint64_t kSteps = 1'000'000'000;
    const std::uint64_t drawn = draw.below(kSteps);
    if (static_cast<double>(drawn) >= *when.probability * static_cast<double>(kSteps)) return false;
  }
  return true;
}

void FaultEngine::count_act(Active& active, Now now) {
  ++active.fired;
  const auto& heal = active.record.heal;
  if (heal && heal->after && !heal->on_event && !heal->manual) {
    start_heal_clock(active, now.mono + *heal->after);
  }
  check_heal(active);
  // What is on stays on; all others have done what they had to.
  if (used_up(active) && !is_standing(active.record)) retire(active);
}

/// Heals when acts were what was waited for.
void FaultEngine::check_heal(Active& active) {
  const auto& heal = active.record.heal;
  if (!heal || heal->manual || !heal->nth || active.fired < *heal->nth) return;
  const bool only_acts = !heal->on_event && !heal->after && !heal->at;
  if (only_acts || active.heal_ready) end(active);
}

// ---- triggers -----------------------------------------------------------------------------------

void FaultEngine::trigger(Active& active, const FaultSubject& subject, Now now) {
  active.armed.insert(device_key(subject));
  if (is_standing(active.record)) {
    update_switch(active, subject, now);
    return;
  }
  if (std::holds_alternative<FailureFault>(active.record.kind) &&
      subject.state == ConnectionState::open) {
    // No login is due any more: the moment is now.
    if (!has_chance(active, Occasion{subject, {}, {}}, now) || !chosen(active)) return;
    due_.push_back({Due::What::perform, &active.record, device_key(subject), subject.connection});
    count_act(active, now);
  }
}

void FaultEngine::update_switch(Active& active, const FaultSubject& subject, Now now) {
  if (active.on.contains("")) return;
  const std::string device = device_key(subject);
  const auto& state = active.record.when.on_state;
  const bool wanted = !active.healed && is_about(active, subject) && is_armed(active, subject) &&
                      in_window(active, device, now) && (!state || *state == subject.state);
  const bool is_on = holds(active.on, subject);
  if (wanted == is_on) return;
  if (!wanted) {
    const bool counted = holds(active.counted, subject);
    for (const std::string& key : {device, connection_key(subject)}) {
      active.on.erase(key);
      active.counted.erase(key);
    }
    if (counted) due_.push_back({Due::What::switched_off, &active.record, device});
    return;
  }
  if (used_up(active)) return;
  active.on.insert(device);
  if (picks_chances(active.record)) return;  // counted when a chance is picked
  active.counted.insert(device);
  due_.push_back({Due::What::switched_on, &active.record, device, subject.connection});
  count_act(active, now);
}

void FaultEngine::start_clocks(Active& active, const std::string& device, const Seen& seen,
                               Now now) {
  const FaultWhen& when = active.record.when;
  const auto& heal = active.record.heal;
  if (active.healed || used_up(active) || !is_about(active, seen.subject())) return;
  if (!active.clocks.insert(device).second) return;
  const auto from_first = [&](Duration after) { return std::max(now.mono, seen.first + after); };
  if (!when.manual && when.after && !when.on_event) {
    set_timer(TimerKind::trigger, active, device, from_first(*when.after));
  }
  if (!when.manual && when.at) set_timer(TimerKind::trigger, active, device, from_first(*when.at));
  if (when.between && is_standing(active.record)) {
    set_timer(TimerKind::window, active, device, from_first(when.between->first));
    set_timer(TimerKind::window, active, device, from_first(when.between->second));
  }
  if (heal && heal->at && !heal->manual) start_heal_clock(active, from_first(*heal->at));
}

void FaultEngine::start_heal_clock(Active& active, Instant at) {
  if (active.heal_clock) return;
  active.heal_clock = true;
  set_timer(TimerKind::heal, active, {}, at);
}

void FaultEngine::set_timer(TimerKind kind, Active& active, std::string device, Instant at) {
  const std::pair<Instant, std::uint64_t> key{at, next_timer_++};
  timers_.emplace(key, Timer{kind, &active, std::move(device)});
  active.timers.insert(key);
}

void FaultEngine::cancel_timers(Active& active) {
  for (const auto& key : active.timers) timers_.erase(key);
  active.timers.clear();
}

void FaultEngine::seen(const FaultSubject& subject, Now now) {
  const std::string device = device_key(subject);
  const auto [position, is_new] = seen_.try_emplace(device);
  Seen& seen = position->second;
  if (is_new) seen.first = now.mono;
  seen.connection = subject.connection;
  seen.state = subject.state;
  seen.label = subject.label;
  if (!subject.device_jid.empty()) seen.device_jid = subject.device_jid;
  if (!subject.number.empty()) seen.number = subject.number;
  if (!subject.account.empty()) seen.account = subject.account;
  if (!by_clock_.empty()) {
    for (Active* active : by_clock_.about(seen.subject())) start_clocks(*active, device, seen, now);
  }
  if (!by_standing_.empty()) {
    for (Active* active : by_standing_.about(subject)) update_switch(*active, subject, now);
  }
}

std::vector<FaultEngine::Due> FaultEngine::on_event(EventKind kind, const FaultSubject& subject,
                                                    Now now, StanzaRef stanza) {
  const auto event = static_cast<std::size_t>(kind);
  if (event >= kEvents) return take_due();
  const std::string device = device_key(subject);
  if (const auto seen = seen_.find(device);
      seen != seen_.end() && seen->second.connection <= subject.connection) {
    seen->second.connection = subject.connection;
    seen->second.state = subject.state;
  }
  // Heals first: a record that this event triggers begins after it.
  if (!by_heal_event_[event].empty()) {
    for (Active* active : by_heal_event_[event].about(subject)) {
      const bool begun =
          class_of(active->record) == FaultClass::moment || active->active() || active->fired > 0;
      if (!begun || !is_about(*active, subject)) continue;
      const FaultHeal& heal = *active->record.heal;
      if (heal.after) {
        start_heal_clock(*active, now.mono + *heal.after);
      } else if (!heal.nth || active->fired >= *heal.nth) {
        end(*active);
      }
    }
  }
  if (!by_event_[event].empty()) {
    for (Active* active : by_event_[event].about(subject)) {
      const FaultRecord& record = active->record;
      const bool moment = class_of(record) == FaultClass::moment;
      if (active->healed || used_up(*active) || !is_about(*active, subject)) continue;
      if (moment && !record.where.stanza.matches(stanza)) continue;
      if (record.when.after) {
        // Both: the time runs from the event.
        set_timer(TimerKind::trigger, *active, device, now.mono + *record.when.after);
      } else if (!moment) {
        trigger(*active, subject, now);
      } else if (in_window(*active, device, now) &&
                 (!record.when.on_state || *record.when.on_state == subject.state) &&
                 chosen(*active)) {
        due_.push_back({Due::What::perform, &record, device, subject.connection});
        count_act(*active, now);
      }
    }
  }
  if (moves_state(kind) && !by_standing_.empty()) {
    for (Active* active : by_standing_.about(subject)) {
      if (active->record.when.on_state) update_switch(*active, subject, now);
    }
  }
  // Nobody comes back under the number of a connection.
  if (kind == EventKind::closed && subject.label.empty() && subject.device_jid.empty()) {
    seen_.erase(device);
  }
  return take_due();
}

std::vector<FaultEngine::Due> FaultEngine::on_deadline(
    Now now, const std::function<bool(const std::string&)>& is_live) {
  while (!timers_.empty() && timers_.begin()->first.first <= now.mono) {
    const auto node = timers_.extract(timers_.begin());
    const Timer& timer = node.mapped();
    Active& active = *timer.active;
    active.timers.erase(node.key());
    if (timer.kind == TimerKind::heal) {
      active.heal_ready = true;
      const auto& acts = active.record.heal->nth;
      if (!acts || active.fired >= *acts) end(active);
      continue;
    }
    const auto seen = seen_.find(timer.device);
    if (seen == seen_.end()) continue;
    const FaultSubject subject = seen->second.subject();
    if (timer.kind == TimerKind::window) {
      update_switch(active, subject, now);
    } else if (used_up(active)) {
      continue;
    } else if (class_of(active.record) != FaultClass::moment) {
      trigger(active, subject, now);
    } else if ((active.record.is_host() || is_live(timer.device)) &&
               in_window(active, timer.device, now) &&
               (!active.record.when.on_state || *active.record.when.on_state == subject.state) &&
               chosen(active)) {
      due_.push_back({Due::What::perform, &active.record, timer.device});
      count_act(active, now);
    }
  }
  return take_due();
}

std::optional<Instant> FaultEngine::next_deadline() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first.first;
}

std::vector<FaultEngine::Due> FaultEngine::take_due() {
  return std::exchange(due_, {});
}

// ---- chances ------------------------------------------------------------------------------------

std::vector<const FaultRecord*> FaultEngine::act(std::size_t kind, const Occasion& occasion,
                                                 Now now, const Fits& fits) {
  std::vector<const FaultRecord*> acting;
  if (by_kind_[kind].empty()) return acting;
  const bool exclusive = fault_table()[kind].exclusive;
  for (Active* active : by_kind_[kind].about(occasion.subject)) {
    if (!has_chance(*active, occasion, now)) continue;
    if (fits && !fits(active->record.kind)) continue;
    if (!chosen(*active)) continue;
    acting.push_back(&active->record);
    count_act(*active, now);
    if (exclusive) break;
  }
  return acting;
}

std::vector<const FaultRecord*> FaultEngine::armed(std::size_t kind, const Occasion& occasion,
                                                   Now now) {
  std::vector<const FaultRecord*> found;
  if (by_kind_[kind].empty()) return found;
  for (Active* active : by_kind_[kind].about(occasion.subject)) {
    if (has_chance(*active, occasion, now)) found.push_back(&active->record);
  }
  return found;
}

std::vector<const FaultRecord*> FaultEngine::standing(std::size_t kind, const Occasion& occasion,
                                                      Now now, const Fits& fits) {
  std::vector<const FaultRecord*> found;
  if (by_kind_[kind].empty()) return found;
  for (Active* active : by_kind_[kind].about(occasion.subject)) {
    update_switch(*active, occasion.subject, now);
    if (!active->on.contains("") && !holds(active->on, occasion.subject)) continue;
    const FaultWhere& where = active->record.where;
    if (where.direction && occasion.direction && where.direction != occasion.direction) continue;
    if (!is_about(*active, occasion.subject) || !where.stanza.matches(occasion.stanza)) continue;
    if (fits && !fits(active->record.kind)) continue;
    if (picks_chances(active->record)) {
      if (!chosen(*active)) continue;
      const std::string device = device_key(occasion.subject);
      if (active->counted.insert(device).second) {
        due_.push_back(
            {Due::What::switched_on, &active->record, device, occasion.subject.connection});
        count_act(*active, now);
      }
    }
    found.push_back(&active->record);
  }
  return found;
}

}  // namespace wa::mock
