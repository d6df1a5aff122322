-- Two phones point at one screen: the first links, the second is told that the code was used.
scenario {
  name = "a code links one phone only",
  tags = { "pairing", "qr" },
}
local first  = server:phone { number = "15550100001" }
local second = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
local qr = device:await_qr { within = "2s" }
local jid = first:scan(qr)
expect.error(function() second:scan(qr) end):code("ref_used")
device:await("connected", { within = "10s" })
expect(device.jid):equals(jid)
expect(#second.companions):equals(0)
