#include "engine/client/code_pairing.hpp"

namespace wa::client {
namespace {

constexpr std::string_view kRegistration = "link_code_companion_reg";
constexpr std::string_view kRef = "link_code_pairing_ref";
constexpr std::size_t kLongestRef = 1024;
constexpr char kChromePlatform[] = "1";
constexpr std::byte kNonce{0};

wire::NodeBuilder stage(std::string name, const std::string& number) {
  return wire::NodeBuilder(std::string(kRegistration))
      .attr("jid", wire::Jid(number, wire::kServerPn))
      .attr("stage", std::move(name));
}

wire::NodeBuilder field(std::string tag, ByteSpan bytes) {
  return wire::NodeBuilder(std::move(tag)).bytes(bytes);
}

ByteSpan bytes_of(const wire::Node* parent, std::string_view tag) {
  const wire::Node* child = parent ? parent->child(tag) : nullptr;
  return child ? child->bytes() : ByteSpan{};
}

}  // namespace

CodePairing::CodePairing(std::string number, Instant ends_at, Random& random)
    : number_(std::move(number)), ends_at_(ends_at) {
  code_ = pairing::pairing_code(random.array<5>());
  ephemeral_ = crypto::generate_key_pair(random);
  salt_ = random.array<32>();
}

DeriveLinkKey CodePairing::wanted_key() const {
  return {code_, deriving() ? salt_ : primary_ephemeral_.salt};
}

wire::NodeBuilder CodePairing::iq(const std::string& id, wire::NodeBuilder content) const {
  return wire::NodeBuilder("iq")
      .attr("to", wire::Jid::server_itself())
      .attr("type", "set")
      .attr("id", id)
      .attr("xmlns", "md")
      .child(std::move(content));
}

wire::NodeBuilder CodePairing::hello(const std::string& iq_id, const pairing::LinkKey& key,
                                     const crypto::PublicKey& noise_key, std::string_view os,
                                     Random& random) {
  WA_ASSERT(step_ == Step::deriving);
  step_ = Step::asking;
  hello_id_ = iq_id;
  const auto wrapped = pairing::wrap_ephemeral(ephemeral_.public_key, key, salt_, random);
  return iq(
      iq_id,
      stage("companion_hello", number_)
          .attr("should_show_push_notification", "true")
          .child(field("link_code_pairing_wrapped_companion_ephemeral_pub", wrapped.encode()))
          .child(field("companion_server_auth_key_pub", noise_key))
          .child(field("companion_platform_id", as_bytes(kChromePlatform)))
          .child(field("companion_platform_display", as_bytes(pairing::companion_display(os))))
          .child(field("link_code_pairing_nonce", ByteSpan(&kNonce, 1))));
}

Result<void> CodePairing::on_ref(const wire::Node& answer) {
  const ByteSpan ref = bytes_of(answer.child(kRegistration), kRef);
  if (ref.empty() || ref.size() > kLongestRef) {
    return Error{Errc::malformed, "the answer to companion_hello has no ref"};
  }
  ref_ = to_bytes(ref);
  step_ = Step::shown;
  return {};
}

Result<void> CodePairing::on_primary_hello(const wire::Node& notification) {
  if (!shown()) return Error{Errc::unexpected_message, "no pairing code was offered yet"};
  if (hellos_ == kMostHellos) return Error{Errc::unexpected_message, "the phone has tried enough"};
  const wire::Node* hello = notification.child(kRegistration);
  if (!hello || hello->attr("stage") != "primary_hello") {
    return Error{Errc::malformed, "not a primary_hello"};
  }
  if (!equal(bytes_of(hello, kRef), ref_)) {
    return Error{Errc::unexpected_message, "the ref is not ours"};
  }
  WA_TRY(const auto wrapped, pairing::WrappedEphemeral::parse(bytes_of(
                                 hello, "link_code_pairing_wrapped_primary_ephemeral_pub")));
  WA_TRY(primary_identity_,
         crypto::PublicKey::from(bytes_of(hello, "primary_identity_pub"), "primary_identity_pub"));
  primary_ephemeral_ = wrapped;
  ++hellos_;
  step_ = Step::unwrapping;
  return {};
}

Result<wire::NodeBuilder> CodePairing::finish(const std::string& iq_id, const pairing::LinkKey& key,
                                              const crypto::KeyPair& identity, Random& random) {
  WA_ASSERT(step_ == Step::unwrapping);
  step_ = Step::shown;
  const auto primary = pairing::unwrap_ephemeral(primary_ephemeral_, key);
  WA_TRY(const auto link,
         pairing::finish_link(ephemeral_, identity, primary, primary_identity_, random));
  step_ = Step::finished;
  adv_secret_ = link.adv_secret;
  return iq(iq_id, stage("companion_finish", number_)
                       .child(field("link_code_pairing_wrapped_key_bundle", link.wrapped_bundle))
                       .child(field("companion_identity_public", identity.public_key))
                       .child(field(std::string(kRef), ref_)));
}

}  // namespace wa::client
