-- FB-086, the strict policy: whoever wants to look before a contact's new keys are used says so. Nothing is read with them
-- or written to them until somebody accepts them; a refused message is reported, never silently dropped. The default
-- is in FB-086-a-contact-with-new-keys.lua.
scenario {
  name = "under the strict policy a contact's new keys are refused until they are accepted",
  tags = { "signal", "identity", "FB-086" },
  loopback_scale = 1/20,
  needs = { "send", "trust" },
  symptom = { "contact reinstalled", "untrusted identity", "UntrustedIdentityException" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local friend = server:phone { number = "15550100003" }
local device = engine:device("shop-1", { strict_identity = true })
device:start()
phone:scan(device:await_qr { within = "1m" }, { within = "1m" })
device:await("connected", { within = "1m" })
for _, contact in ipairs { other, friend } do
  device:await_message { id = contact:send(phone, "with the old keys"), within = "20s" }
  device:await_sent(device:send(contact, "hello"), { within = "20s" })
end
local anew = server:fault { fault = "identity_change", args = { phone = other.number }, where = { device = device }, when = { manual = true } }
anew:fire()
local refused = other:send(phone, "with the new ones")
device:await_undecryptable { id = refused, text = "untrusted_identity", within = "20s" }
expect.error(function() device:await_sent(device:send(other, "secret"), { within = "20s" }) end):code("untrusted_identity")
device:kill()                                          -- which accepts nothing
device:start()
device:await("connected", { within = "1m" })
expect.error(function() device:await_sent(device:send(other, "secret"), { within = "20s" }) end):code("untrusted_identity")
device:await_sent(device:send(friend, "to somebody else"), { within = "20s" })
expect(#device:history("identity_changed")):equals(1)

device:trust(other)
device:await_message { id = other:send(phone, "accepted"), text = "accepted", within = "20s" }
local sent = device:send(other, "hello again")
device:await_sent(sent, { within = "20s" })
other:await_message { id = sent, text = "hello again", within = "20s" }
expect(#device:history("identity_changed")):equals(1)
for _, message in ipairs(other.inbox) do expect(message.text):differs("secret") end
