-- FB-026: the user scans with another phone, or a second slot of one number hijacks the first.
scenario {
  name = "a scan by another number is refused and leaves nothing behind",
  tags = { "pairing", "FB-026" },
  loopback_scale = 1/20,
  symptom = { "paired with the wrong number", "sibling session deleted" },
}
local right  = server:phone { number = "15550100001" }
local wrong  = server:phone { number = "15550100002" }
local first  = engine:device("shop-1", { expected_number = "15550100001" })
local second = engine:device("shop-2", { expected_number = "15550100001" })

first:start()
right:scan(first:await_qr { within = "1m" })
first:await("connected", { within = "1m" })
local earned = first.credentials

second:start()
local qr = second:await_qr { within = "1m" }
pcall(function() wrong:scan(qr) end)
second:await("pairing_failed", { reason = "wrong_number", within = "1m" })
expect(#wrong.companions):equals(0)                    -- logged out at the server
expect(second.credentials):is_nil()
expect(first.state):equals("connected")
expect(first.credentials):equals(earned)

second:start()                                         -- two devices of one number live side by side
right:scan(second:await_qr { within = "1m" })
second:await("connected", { within = "1m" })
second:delete()
expect(first.state):equals("connected")
expect(first.credentials):equals(earned)
