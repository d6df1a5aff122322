-- A contact's phone was restored from a backup: its session is older than ours, and its next message is written with a
-- key that was used. That is no copy of what was read: it is asked for again, and read on the next key.
scenario {
  name = "a message under a key that was used is asked for again, and read",
  tags = { "messages", "signal", "retries" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "Key used already or never filled", "MessageCounterError", "old counter" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
local restored = server:fault {
  fault = "session", args = { kind = "stale" }, where = { device = device }, when = { manual = true },
}
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
device:await_message { id = other:send(phone, "before"), within = "20s" }
device:await_sent(device:send(other, "hello"))
other:await_message { text = "hello", within = "20s" }
device:await_message { id = other:send(phone, "on a key"), within = "20s" }
restored:fire()
device:await_message { id = other:send(phone, "on the same key"), within = "4m" }
