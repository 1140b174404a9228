// The Hessian spectrum of an ONNX model.
import { crossEntropy, hessian, loadModel, meanLoss, openDataset, spectrum } from 'hessia';

const model = await loadModel('examples/mlp.onnx');
await using data = await openDataset('examples/fashion-mnist-test.npz');
await using H = await hessian(meanLoss(model, crossEntropy(), data, { samples: 100 }));
const { largest, trace } = await spectrum(H, { steps: 20, probes: 3 });
console.log(`largest eigenvalues ${largest.slice(0, 3).map((e) => e.value.toPrecision(4))}`);
console.log(`trace ${trace.estimate.toPrecision(4)} ± ${trace.standardError?.toPrecision(2)}`);
