-- FB-017: a pairing code that is asked for before the socket is ready fails with "Connection Closed".
scenario {
  name = "a code that is asked for early comes when the server is ready",
  tags = { "pairing", "pairing-code", "FB-017" },
  loopback_scale = 1/20,
  symptom = { "Connection Closed", "428", "requestPairingCode" },
}
local phone  = server:phone { number = "15550100001" }
local early  = engine:device "shop-1"
local late   = engine:device "shop-2"
server:fault { id = "silence", fault = "withhold", args = { stanza = "pair-device" }, where = { device = "shop-2" } }

early:start { pairing_number = "15550100001" }        -- at once, while nothing is dialled yet
phone:enter_code(early:await_pairing_code { within = "20s" })
early:await("connected", { within = "1m" })

-- A server that never gets that far: the request is given up in words, and nothing hangs.
late:start { pairing_number = "15550100001" }
late:await("connecting", { reason = "pairing_code_timeout", within = "25s" })
expect(late.pairing_code):is_nil()
