-- FB-086: a contact has installed anew: what is sent to it is "sent" and never read, since the old session is kept.
-- The strict policy is in FB-086-strict-about-identities.lua.
scenario {
  name = "a contact with new keys is read at once, written to with them, and reported",
  tags = { "signal", "identity", "FB-086" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "contact reinstalled", "untrusted identity", "UntrustedIdentityKeyError" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
device:await_message { id = other:send(phone, "with the old keys"), within = "20s" }
device:await_sent(device:send(other, "hello"))
local anew = server:fault { fault = "identity_change", args = { phone = other.number }, where = { device = device }, when = { manual = true } }
anew:fire()
device:await_message { id = other:send(phone, "with the new ones"), within = "20s" }
local sent = device:send(other, "hello again")
device:await_sent(sent)
expect(other:await_message { id = sent, within = "20s" }.text):equals("hello again")
expect(#device:history("identity_changed")):equals(1)
