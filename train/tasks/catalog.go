package tasks

import "attractor/train/kit"

// Entry is an entry of Catalog: a name, a documentation, references and a Task.
type Entry = kit.Entry[Task]

// Catalog lists the tasks.
var Catalog = kit.Must("task",
	Entry{Name: "digits", Doc: digitsDoc, Refs: []string{digitsRef}, Value: Digits{}},
	Entry{Name: "mnist", Doc: mnistDoc, Refs: []string{mnistRef}, Value: MNIST{}},
	Entry{Name: "fashion-mnist", Doc: fashionDoc, Refs: []string{fashionRef}, Value: FashionMNIST{}},
	Entry{Name: "cifar10", Doc: cifar10Doc, Refs: []string{cifar10Ref}, Value: CIFAR10{}},
	Entry{Name: "npz", Doc: npzDoc, Value: NPZ{}},
	Entry{Name: "linear", Doc: linearDoc, Value: Linear{}},
	Entry{Name: "blobs", Doc: blobsDoc, Value: Blobs{}},
	Entry{Name: "2af", Doc: perceptualDecisionDoc, Refs: []string{neurogymRef, brittenRef}, Value: PerceptualDecision{}},
	Entry{Name: "dms", Doc: delayMatchSampleDoc, Refs: []string{neurogymRef, millerRef}, Value: DelayMatchSample{}},
	Entry{Name: "cxt", Doc: contextDecisionDoc, Refs: []string{neurogymRef, manteRef}, Value: ContextDecision{}},
	Entry{Name: "gonogo", Doc: goNogoDoc, Refs: []string{neurogymRef, zhangRef}, Value: GoNogo{}},
	Entry{Name: "delay-comparison", Doc: delayComparisonDoc, Refs: []string{neurogymRef, barakRef}, Value: DelayComparison{}},
	Entry{Name: "ready-set-go", Doc: readySetGoDoc, Refs: []string{neurogymRef, remingtonRef}, Value: ReadySetGo{}},
	Entry{Name: "flip-flop", Doc: flipFlopDoc, Refs: []string{sussilloRef}, Value: FlipFlop{}},
	Entry{Name: "add", Doc: addDoc, Refs: []string{marschallRef}, Value: Add{}},
	Entry{Name: "copy", Doc: copyDoc, Refs: []string{engelkenRef}, Value: Copy{}},
	Entry{Name: "xor", Doc: xorDoc, Refs: []string{engelkenRef}, Value: XOR{}},
	Entry{Name: "adding", Doc: addingDoc, Refs: []string{hochreiterRef, leRef}, Value: Adding{}},
	Entry{Name: "sequential-mnist", Doc: sequentialMNISTDoc, Refs: []string{mnistRef, leRef}, Value: SequentialMNIST{}},
	Entry{Name: "rflo-sine", Doc: rfloSineDoc, Refs: []string{murrayRef}, Value: RFLOSine{}},
)
