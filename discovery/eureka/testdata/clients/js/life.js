// Registers with the registry at 127.0.0.1:PORT, finds itself, and leaves. The last
// line says what it saw.
'use strict';
const { Eureka } = require('eureka-js-client');

const client = new Eureka({
  instance: {
    app: 'node-service', instanceId: 'node-1', hostName: '127.0.0.1', ipAddr: '127.0.0.1',
    vipAddress: 'node.example', status: 'UP',
    port: { $: 8080, '@enabled': true },
    dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
    metadata: { zone: 'a' },
  },
  eureka: {
    host: '127.0.0.1', port: Number(process.argv[2]), servicePath: '/eureka/apps/',
    heartbeatInterval: 200, registryFetchInterval: 200, maxRetries: 1, shouldUseDelta: process.argv[3] === 'delta',
  },
});
client.logger.level('error');

const saw = { heartbeats: 0, byApp: [], byVIP: [] };
const fail = (why) => { console.error(why); process.exit(1); };
setTimeout(() => fail('not done within 20 s: ' + JSON.stringify(saw)), 20000).unref();
client.on('heartbeat', () => {
  saw.heartbeats += 1;
  const list = client.getInstancesByAppId('NODE-SERVICE');
  if (saw.heartbeats < 2 || list.length === 0) return;
  saw.byApp = list.map((i) => i.hostName + ':' + i.port.$ + ' ' + i.status);
  saw.byVIP = client.getInstancesByVipAddress('node.example').map((i) => i.instanceId);
  client.stop((error) => {
    if (error) fail(error);
    console.log(JSON.stringify(saw));
    process.exit(0);
  });
});
client.start((error) => { if (error) fail(error); });
